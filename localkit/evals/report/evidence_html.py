"""The evidence of a comparison as HTML; every text in it is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.render.table import html_table
from localkit.render.text import escape, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.report.evidence import Flip, Passage

_FULL_SHADE = 4.0
"""Nats at which a token is shaded most: the reference's token became e⁴ rarer."""
_MAX_CONTEXT = 320
"""Characters of a question that are shown; its end matters most."""


def passages_html(passages: Sequence[Passage]) -> Markup:
    """Return each passage with its tokens shaded by their KL divergence."""
    legend = Markup(
        "<p>The darker a token, the further the prediction of it is from the "
        "reference's; each passage is {} tokens.</p>"
    ).format(max(len(passage.pieces) for passage in passages))
    return legend + Markup("").join(_passage(passage) for passage in passages)


def _passage(passage: Passage) -> Markup:
    tokens = Markup("").join(
        Markup(
            '<span style="background:rgba(213,94,0,{:.2f})" title="{}">{}</span>'
        ).format(min(0.75, 0.75 * max(0.0, kld) / _FULL_SHADE), f"{kld:.2f} nats", text)
        for text, kld in zip(
            [escape(piece) for piece in passage.pieces], passage.klds, strict=True
        )
    )
    return Markup(
        '<p style="margin:14px 0 2px"><strong>{}</strong>, chunk {}: '
        "mean {:.2f} nats</p>"
        '<p style="white-space:pre-wrap;font-family:ui-monospace,monospace;'
        'font-size:13px;margin:0">…{}…</p>'
    ).format(escape(passage.label), passage.chunk + 1, passage.kld, tokens)


def flips_html(flips: Sequence[Flip]) -> Markup:
    """Return the flips as a table: the question, the right answer, who chose what."""
    return Markup('<div style="overflow-x:auto">{}</div>').format(
        html_table(
            [
                "Candidate",
                "",
                "Question",
                "Right answer",
                "Reference",
                "Candidate chose",
            ],
            [
                [
                    flip.label,
                    "lost" if flip.lost else "gained",
                    _end(flip.context),
                    flip.right,
                    _choice(flip.reference_choice, flip.right),
                    _choice(flip.candidate_choice, flip.right),
                ]
                for flip in flips
            ],
        )
    )


def _choice(choice: str, right: str) -> str:
    return "right" if choice == right else one_line(choice)


def _end(text: str) -> str:
    """Return the last characters of a question."""
    line = one_line(text)
    return line if len(line) <= _MAX_CONTEXT else f"…{line[-_MAX_CONTEXT:]}"
