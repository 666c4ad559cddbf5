"""What the view of a playground draws."""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from localkit.render.text import clean
from localkit.widgets.playground.draft import MAX_COLUMNS

if TYPE_CHECKING:
    from localkit.widgets.playground.playground import Playground
    from localkit.widgets.playground.turns import Column, Turn

MAX_SHOWN_CHARS = 400_000
"""Of all answers together: the whole state stays far below what a message may hold."""
_MAX_MODELS = 500
_LEAST_CHARS = 400


def state_of(pg: Playground) -> dict[str, Any]:
    """Return the state; where names are kept back, nothing in it gives them away."""
    desk, shelf = pg.desk, pg.shelf
    shown = desk.shown
    draft = desk.draft
    limit = limit_for(shown)
    difference = None
    if pg.difference is not None:
        version, found = pg.difference
        difference = {"version": version, "pieces": found.pieces()}
    return {
        "name": pg.name,
        "revision": desk.revision,
        "draft": {
            "prompt": draft.prompt,
            "system": draft.system,
            "variables": draft.variables,
            "examples": [one.model_dump() for one in draft.examples],
        },
        "busy": pg.busy,
        "blind": desk.blind,
        "hidden": desk.hides,
        "status": status_of(pg),
        "models": [list(one) for one in desk.models[:_MAX_MODELS]],
        "full": len(shown) >= MAX_COLUMNS,
        "columns": [
            _column(pg, column, letter, limit)
            for letter, column in zip(ascii_uppercase, shown, strict=False)
        ],
        "vote": _vote(pg),
        "pairs": [pair.cells() for pair in shelf.pairs()],
        "versions": [list(one) for one in shelf.listed()],
        "presets": shelf.presets.names(),
        "n_liked": shelf.n_liked(),
        "difference": difference,
        "cell": pg.cell,
        "told": pg.told,
    }


def status_of(pg: Playground) -> str:
    """Return in words what is going on."""
    run = pg.desk.round
    if not pg.busy or run is None:
        return ""
    ended = sum(turn.answer.has_ended for _, turn in run.turns)
    n = len(run.turns)
    return f"answering {min(n, ended + 1)} of {n}"


def limit_for(columns: list[Column]) -> int:
    """Return how many characters of each answer may be shown."""
    n_turns = sum(len(column.branches.path) for column in columns)
    return max(_LEAST_CHARS, MAX_SHOWN_CHARS // max(1, n_turns))


def cut(text: str, limit: int) -> str:
    """Return clean text of at most ``limit`` characters, saying what is missing."""
    text = clean(text)
    n_cut = len(text) - limit
    if n_cut <= 0:
        return text
    return f"{text[:limit]}\n… {n_cut:,} more characters: see .answers"


def _column(pg: Playground, column: Column, letter: str, limit: int) -> dict[str, Any]:
    hidden = pg.desk.hides
    return {
        "id": column.id,
        "letter": letter,
        "ref": "" if hidden else column.setup.ref,
        "quant": "" if hidden else column.quant,
        "words": "" if hidden else column.setup.words(),
        "setup": None if hidden else column.setup.model_dump(exclude={"ref"}),
        "turns": [_turn(pg, column, one, limit) for one in column.branches.path],
    }


def _turn(pg: Playground, column: Column, turn: Turn, limit: int) -> dict[str, Any]:
    answer = turn.answer
    siblings = column.branches.siblings(turn)
    is_blind = pg.desk.hides_text(turn)
    run = pg.desk.round
    waits = is_blind and run is not None and not run.has_ended
    is_whole = answer.has_ended and not waits
    return {
        "id": turn.id,
        "said": cut(turn.said, limit),
        "phase": "hidden" if waits else answer.phase,
        # Text that grows goes by messages.
        "text": cut(answer.text, limit) if is_whole else "",
        "thinking": "" if is_blind else cut(answer.thinking, limit // 2),
        "note": "" if waits else clean(answer.note),
        "usage": "" if is_blind else answer.usage or answer.counts,
        "score": answer.score,
        "comment": clean(answer.comment),
        "rateable": is_whole and bool(answer.text),
        # Who saw the others with their names would know this one's.
        "number": 1 if is_blind else siblings.index(turn) + 1,
        "of": 1 if is_blind else len(siblings),
    }


def _vote(pg: Playground) -> dict[str, Any] | None:
    """Return what can be voted on, or how the vote was; None where neither is."""
    run = pg.desk.round
    if run is None or len(run.turns) < 2:
        return None
    if run.verdict is not None:
        said = str(run.verdict)
        if isinstance(run.verdict, int):
            said = f"{ascii_uppercase[run.verdict]} is better"
        return {"open": False, "said": said, "blind": run.blind, "n": len(run.turns)}
    return {"open": run.is_open, "said": "", "blind": run.blind, "n": len(run.turns)}
