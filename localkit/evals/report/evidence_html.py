"""The evidence of a comparison as HTML; every text in it is escaped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.render.table import html_table
from localkit.render.text import escape, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.report.evidence import Flip, Passage

_FULL_SHADE = 4.0
"""Nats at which a token is shaded most: the reference's token became e⁴ rarer."""
_EXPECTED = 0.01
"""Probability below which a token was not expected."""
MAX_CONTEXT = 320
"""Characters of a question that are shown; its end matters most."""
MAX_ANSWER = 400
"""Characters of an answer that are shown."""


def passages_html(passages: Sequence[Passage]) -> Markup:
    """Return each passage with its tokens shaded by their KL divergence."""
    legend = Markup(
        "<p>The darker a token, the further the prediction of it is from the "
        "reference's; the underlined one is the furthest. Each passage is {} tokens."
        "</p>"
    ).format(max(len(passage.pieces) for passage in passages))
    return legend + Markup("").join(_passage(passage) for passage in passages)


def where(passage: Passage) -> str:
    """Return which text and chunk a passage is from, and how far off it is."""
    text = f"{passage.text}, " if passage.text else ""
    return f"{text}chunk {passage.chunk + 1}: mean {passage.kld:.2f} nats"


def worst_token(passage: Passage) -> str:
    """Return what both models gave the token that is furthest off; or nothing.

    Nothing too where neither expected it: they differ in what they expected instead.
    """
    if not passage.p_reference:
        return ""
    index = passage.worst
    if max(passage.p_reference[index], passage.p_candidate[index]) < _EXPECTED:
        return ""
    piece = one_line(passage.pieces[index], limit=40) or "a line end"
    before = probability(passage.p_reference[index])
    after = probability(passage.p_candidate[index])
    return f"“{piece}”: {before} in the reference, {after} here"


def probability(p: float) -> str:
    """Return a probability: ``62 %``, ``0.4 %``, ``< 0.1 %``."""
    if math.isnan(p):
        return "–"
    if p < 0.001:
        return "< 0.1 %"
    return f"{100 * p:.1f} %" if p < 0.1 else f"{100 * p:.0f} %"


def _passage(passage: Passage) -> Markup:
    tokens = Markup("").join(
        _token(passage, index) for index in range(len(passage.pieces))
    )
    told = worst_token(passage)
    note = Markup('<br><span style="opacity:0.8;font-size:0.9em">{}</span>')
    return Markup(
        '<div style="margin:14px 0 0;break-inside:avoid">'
        '<p style="margin:0 0 2px"><strong>{}</strong>, {}{}</p>'
        '<p style="white-space:pre-wrap;overflow-wrap:anywhere;'
        'font-family:ui-monospace,monospace;font-size:13px;margin:0">…{}…</p></div>'
    ).format(
        escape(passage.label),
        escape(where(passage)),
        note.format(escape(told)) if told else "",
        tokens,
    )


def _token(passage: Passage, index: int) -> Markup:
    kld = passage.klds[index]
    strength = 0.0 if math.isnan(kld) else max(0.0, kld) / _FULL_SHADE
    line = ";text-decoration:underline" if index == passage.worst else ""
    title = f"{kld:.2f} nats"
    if passage.p_reference:
        title += (
            f"; reference {probability(passage.p_reference[index])}, "
            f"here {probability(passage.p_candidate[index])}"
        )
    return Markup(
        '<span style="background:rgba(213,94,0,{}){}" title="{}">{}</span>'
    ).format(
        f"{min(0.75, 0.75 * strength):.2f}", line, title, escape(passage.pieces[index])
    )


def flips_html(flips: Sequence[Flip]) -> Markup:
    """Return the flips as a table: the question, the right answer, who said what."""
    heads, rows = flips_table(flips)
    return Markup('<div style="overflow-x:auto">{}</div>').format(
        html_table(heads, rows, row_headers=True)
    )


def flips_table(flips: Sequence[Flip]) -> tuple[list[str], list[list[str]]]:
    """Return heads and cells of the flips; the task only where there are several."""
    several = len({flip.task for flip in flips}) > 1
    heads = ["Candidate", *(["Task"] if several else []), "Flip"]
    heads += ["Question", "Right answer", "Reference", "Candidate said"]
    rows = [
        [
            flip.label,
            *([flip.task] if several else []),
            "lost" if flip.lost else "gained",
            _end(flip.context),
            one_line(flip.right, limit=MAX_ANSWER),
            _answer(flip.reference_choice, flip.right, right=flip.lost),
            _answer(flip.candidate_choice, flip.right, right=not flip.lost),
        ]
        for flip in flips
    ]
    return heads, rows


def _answer(answer: str, expected: str, *, right: bool) -> str:
    if right and (not answer or one_line(answer) == one_line(expected)):
        return "right"
    shown = one_line(answer, limit=MAX_ANSWER) or "(nothing)"
    return f"right: {shown}" if right else shown


def _end(text: str) -> str:
    """Return the last characters of a question."""
    line = one_line(text)
    return line if len(line) <= MAX_CONTEXT else f"…{line[-MAX_CONTEXT:]}"
