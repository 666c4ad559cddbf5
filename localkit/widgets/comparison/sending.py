"""What is large and not always looked at: plots and passages, as messages."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from localkit.evals.report.evidence_html import probability, where, worst_token
from localkit.render.text import clean, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.evals.comparing.comparison import Comparison
    from localkit.evals.report.evidence import Passage


def plot_messages(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Yield a message a plot: a PNG of some 50 kB, in base64."""
    for number, plot in enumerate(comparison.plots):
        yield {
            "kind": "plot",
            "number": number,
            "png": b64encode(plot.png).decode(),
            "alt": one_line(plot.alt or plot.title),
        }


def passages_message(comparison: Comparison) -> dict[str, Any]:
    """Return the passages furthest from the reference, token by token."""
    passages = list(map(_passage, comparison.passages))
    return {"kind": "passages", "passages": passages}


def _passage(passage: Passage) -> dict[str, Any]:
    return {
        "label": passage.label,
        "where": where(passage),
        "told": worst_token(passage),
        "worst": passage.worst,
        "tokens": [
            [clean(piece), round(kld, 3) if kld == kld else None, _said(passage, place)]
            for place, (piece, kld) in enumerate(
                zip(passage.pieces, passage.klds, strict=True)
            )
        ],
    }


def _said(passage: Passage, place: int) -> str:
    if not passage.p_reference:
        return ""
    before = probability(passage.p_reference[place])
    return f"reference {before}, here {probability(passage.p_candidate[place])}"
