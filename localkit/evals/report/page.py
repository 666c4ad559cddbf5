"""A comparison as one page that loads nothing and runs nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.evals.report import method, parts
from localkit.evals.report.card import model_card
from localkit.render.page import (
    callout,
    data_element,
    definitions,
    details,
    header,
    html_page,
    section,
)
from localkit.render.text import escape

if TYPE_CHECKING:
    from localkit.evals.comparing.comparison import Comparison

RECORD_ID = "localkit-comparison"
"""Of the element that holds the record as JSON."""


def page_html(comparison: Comparison) -> str:
    """Return the report as one document, with the record inside as data."""
    setup = comparison.setup
    return html_page(
        title(comparison),
        Markup("\n").join(
            [
                header(
                    title(comparison),
                    subtitle=subtitle(comparison),
                    kicker="localkit comparison",
                ),
                callout("Verdict", parts.verdict(comparison)),
                parts.figure_cards(comparison),
                section(
                    "The candidates",
                    parts.tables(comparison),
                    note=method.legend(comparison),
                ),
                *_pictures(comparison),
                *_evidence(comparison),
                section("What was measured", definitions(method.facts(comparison))),
                section("How to read it", definitions(method.definitions(comparison))),
                section(
                    "Again",
                    Markup(
                        "<p>Measured figures are kept; this command shows them again "
                        "and measures what is missing.</p><pre>{}</pre>"
                    ).format(escape(setup.command))
                    + Markup('<div class="screen-only">{}</div>').format(
                        details(
                            "Model card block to paste",
                            Markup("<pre>{}</pre>").format(
                                escape(model_card(comparison))
                            ),
                        )
                    )
                    + Markup(
                        "<p>Every figure is in this page as JSON too, in its element "
                        "<code>#{}</code>.</p>"
                    ).format(RECORD_ID),
                ),
                data_element(RECORD_ID, record(comparison)),
            ]
        ),
    )


def title(comparison: Comparison) -> str:
    """Return the question that the report answers."""
    return f"Which quant of {comparison.setup.model}?"


def subtitle(comparison: Comparison) -> str:
    """Return what was compared with what, where and when."""
    setup, reference = comparison.setup, comparison.reference
    return (
        f"{len(comparison.rows)} candidates against {setup.reference} "
        f"({reference.ref}, sha256 {reference.weights_digest.split(':')[-1][:12]}) on "
        f"{setup.fingerprint.get('device', 'this machine')}, "
        f"{setup.measured[:16].replace('T', ' ')} UTC"
    )


def record(comparison: Comparison) -> str:
    """Return the comparison as strict JSON."""
    return json.dumps(
        comparison.as_dict(), ensure_ascii=False, indent=1, allow_nan=False
    )


def _pictures(comparison: Comparison) -> list[Markup]:
    if not comparison.plots:
        return []
    return [section("In pictures", parts.pictures(comparison.plots))]


def _evidence(comparison: Comparison) -> list[Markup]:
    found = parts.evidence(comparison)
    if not found:
        return []
    return [
        section(
            "Where it breaks",
            Markup("").join(found),
            note="The figures above as single cases. Text and answers are the "
            "data's, shown as they are.",
        )
    ]
