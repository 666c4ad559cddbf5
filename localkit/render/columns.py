"""Answers side by side, that stand one below the other on a narrow screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from localkit.render.text import escape, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

# One column on a phone: cells of a notebook are about 300 px wide there.
_GRID = "display:grid;grid-template-columns:repeat(auto-fit,minmax(240px,1fr));gap:12px"
_COLUMN = (
    "border:1px solid rgba(128,128,128,0.35);border-radius:6px;padding:8px 12px;"
    "min-width:0;overflow-wrap:anywhere;overflow-x:auto"
)
_TITLE = (
    "font-weight:600;border-bottom:1px solid rgba(128,128,128,0.35);"
    "padding-bottom:4px;margin-bottom:6px;overflow-wrap:anywhere"
)
_FOOT = "opacity:0.7;font-size:0.85em;margin-top:6px"


class Column(NamedTuple):
    """One answer."""

    title: str
    body: Markup
    foot: str = ""


def columns_html(columns: Sequence[Column]) -> Markup:
    """Return the columns; inline styles alone, so that a saved notebook keeps them."""
    parts = Markup("").join(
        Markup('<div style="{}"><div style="{}">{}</div>{}{}</div>').format(
            _COLUMN, _TITLE, escape(one_line(one.title)), one.body, _foot(one.foot)
        )
        for one in columns
    )
    return Markup('<div style="{}">{}</div>').format(_GRID, parts)


def columns_plain(columns: Sequence[tuple[str, str]]) -> str:
    """Return titles and texts, one below the other; the texts are clean already."""
    return "\n\n".join(f"── {one_line(title)} ──\n{text}" for title, text in columns)


def _foot(text: str) -> Markup:
    if not text:
        return Markup("")
    return Markup('<div style="{}">{}</div>').format(_FOOT, escape(text))
