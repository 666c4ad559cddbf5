"""A comparison as the output of a notebook cell: static, with inline styles only.

An untrusted notebook loses its style sheets and shows this all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.evals.report import method, parts
from localkit.render.page import details
from localkit.render.text import AS_WRITTEN, escape

if TYPE_CHECKING:
    from localkit.evals.comparing.comparison import Comparison


def notebook_html(comparison: Comparison) -> str:
    """Return the report's parts without page, large figures and record."""
    return str(notebook_markup(comparison))


def notebook_markup(comparison: Comparison) -> Markup:
    """Return the same, to stand within something else."""
    return Markup('<div class="{}" style="max-width:1080px">{}</div>').format(
        AS_WRITTEN,
        Markup("").join(
            [
                Markup(
                    '<div style="border-left:4px solid #0072b2;padding:6px 14px;'
                    'margin:4px 0 14px">{}</div>'
                ).format(parts.verdict(comparison)),
                parts.tables(comparison),
                Markup('<p style="font-size:12px;opacity:0.8;margin:0">{}</p>').format(
                    escape(method.legend(comparison))
                ),
                parts.pictures(comparison.plots),
                *parts.evidence(comparison),
                details("What was measured, and how to read it", _terms(comparison)),
            ]
        ),
    )


def _terms(comparison: Comparison) -> Markup:
    """Return facts and definitions as a table: lists lose their columns."""
    rows = Markup("").join(
        Markup(
            '<tr><th scope="row" style="padding:2px 12px 2px 0;text-align:left;'
            'font-weight:inherit;vertical-align:top">{}</th>'
            '<td style="text-align:left;padding:2px 0">{}</td></tr>'
        ).format(escape(term), escape(value))
        for term, value in method.facts(comparison) + method.definitions(comparison)
    )
    return Markup('<table style="font-size:13px">{}</table>').format(rows)
