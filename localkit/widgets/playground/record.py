"""A playground as ordinary output: what was asked, of whom, and every answer."""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from localkit.render import columns as side_by_side
from localkit.render.markdown import preformatted
from localkit.render.page import details
from localkit.render.summary import stack, titled
from localkit.render.table import html_table, plain_table
from localkit.render.text import clean
from localkit.widgets.panel import Record
from localkit.widgets.playground.state import cut, limit_for

if TYPE_CHECKING:
    from localkit.widgets.playground.playground import Playground
    from localkit.widgets.playground.turns import Column, Turn

_SCORES = {1: "liked", -1: "disliked"}
_MISSING = "(no answer yet)"


def record_of(pg: Playground) -> Record:
    """Return the record: the same for the same answers, figures in its metadata."""
    desk = pg.desk
    shown = desk.shown
    limit = limit_for(shown)
    parts = _asked(pg)
    titles = [_title(pg, letter, one) for letter, one in _lettered(shown)]
    answers = [_column_text(pg, one, limit) for one in shown]
    plain = [f"{name}\n{text}" for name, text in parts]
    if shown:
        pairs = list(zip(titles, answers, strict=True))
        plain.append(side_by_side.columns_plain(pairs))
    html = [titled(name, preformatted(text)) for name, text in parts]
    columns = [
        side_by_side.Column(title, _column_html(pg, one, limit), _foot(pg, one))
        for title, one in zip(titles, shown, strict=True)
    ]
    if columns:
        html.append(side_by_side.columns_html(columns))
    voted = _votes(pg)
    if voted is not None:
        plain.append(f"Votes\n{plain_table(*voted[:2], align=voted[2])}")
        html.append(titled("Votes", html_table(*voted[:2], align=voted[2])))
    n_answers = sum(bool(one.branches.path) for one in shown)
    return Record(
        "\n\n".join(plain),
        stack(*html),
        f"Playground {pg.name}: {n_answers} of {len(shown)} columns answered",
        {"playground": pg.name, "answers": _figures(pg)},
    )


def _lettered(shown: list[Column]) -> list[tuple[str, Column]]:
    return list(zip(ascii_uppercase, shown, strict=False))


def _asked(pg: Playground) -> list[tuple[str, str]]:
    """Return the texts of the draft under their names."""
    draft = pg.desk.draft
    parts = [("System", draft.system)] if draft.system.strip() else []
    parts += [("Example", f"{one.user}\n→ {one.assistant}") for one in draft.examples]
    parts.append(("Prompt", draft.prompt or "(no prompt yet)"))
    values = [
        f"{name} = {draft.variables.get(name, '(no value)')}" for name in draft.fields
    ]
    if values:
        parts.append(("Variables", "\n".join(values)))
    return [(name, clean(text)) for name, text in parts]


def _title(pg: Playground, letter: str, column: Column) -> str:
    if pg.desk.hides:
        return f"{letter}: hidden until there is a vote"
    return f"{letter}: {column.words}"


def _column_text(pg: Playground, column: Column, limit: int) -> str:
    path = column.branches.path
    if not path:
        return _MISSING
    lines: list[str] = []
    for turn in path:
        if len(path) > 1 or turn.said != _question(pg):
            lines.append(f"> {clean(turn.said)}")
        lines.append(_answer_text(pg, turn, limit))
        lines += [f"[{one}]" for one in _remarks(pg, column, turn)]
    return "\n".join(lines)


def _column_html(pg: Playground, column: Column, limit: int) -> Markup:
    path = column.branches.path
    if not path:
        return preformatted(_MISSING)
    parts: list[Markup] = []
    for turn in path:
        if len(path) > 1 or turn.said != _question(pg):
            parts.append(titled("User", preformatted(cut(turn.said, limit))))
        if turn.answer.thinking and not pg.desk.hides_text(turn):
            thinking = preformatted(cut(turn.answer.thinking, limit // 2))
            parts.append(details("Thinking", thinking))
        parts.append(preformatted(_answer_text(pg, turn, limit)))
        parts += [
            Markup("<div><em>[{}]</em></div>").format(one)
            for one in _remarks(pg, column, turn, counts=turn is not path[-1])
        ]
    return stack(*parts)


def _answer_text(pg: Playground, turn: Turn, limit: int) -> str:
    run = pg.desk.round
    if pg.desk.hides_text(turn) and run is not None and not run.has_ended:
        return _MISSING
    return cut(turn.answer.text, limit) or _MISSING


def _remarks(
    pg: Playground, column: Column, turn: Turn, *, counts: bool = True
) -> list[str]:
    """Return what must be known beside an answer."""
    answer = turn.answer
    siblings = column.branches.siblings(turn)
    said = [answer.note]
    if counts and not pg.desk.hides_text(turn):
        said.append(answer.counts)
    if len(siblings) > 1 and not pg.desk.hides_text(turn):
        said.append(f"answer {siblings.index(turn) + 1} of {len(siblings)}")
    if answer.score:
        said.append(": ".join(filter(None, [_SCORES[answer.score], answer.comment])))
    return [clean(one) for one in said if one]


def _foot(pg: Playground, column: Column) -> str:
    last = column.branches.last
    if last is None or pg.desk.hides_text(last):
        return ""
    return last.answer.counts


def _question(pg: Playground) -> str:
    """Return the draft's prompt where it can be filled in."""
    draft = pg.desk.draft
    if set(draft.fields) - draft.variables.keys():
        return ""
    return draft.filled(draft.prompt)


def _votes(pg: Playground) -> tuple[list[str], list[list[str]], str] | None:
    if not pg.shelf.has_voted:
        return None
    from localkit.widgets.playground.pairs import ALIGN, HEADERS

    return list(HEADERS), [pair.cells() for pair in pg.shelf.pairs()], ALIGN


def _figures(pg: Playground) -> list[dict[str, Any]]:
    if pg.desk.hides:
        return []
    return [result.as_dict() for result in pg.results if result is not None]
