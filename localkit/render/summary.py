"""Small parts of a static output: headings, lines and figures, inline styles only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.render.text import escape

if TYPE_CHECKING:
    from collections.abc import Sequence


def stack(*parts: Markup) -> Markup:
    """Return parts below each other."""
    return Markup("<div>{}</div>").format(
        Markup("").join(
            Markup('<div style="margin:0 0 10px">{}</div>').format(part)
            for part in parts
        )
    )


def titled(title: str, body: Markup) -> Markup:
    """Return a part under its heading; what is too wide scrolls by itself."""
    return Markup(
        '<div style="font-weight:600;margin:0 0 4px">{}</div>'
        '<div style="overflow-x:auto">{}</div>'
    ).format(escape(title), body)


def lines(texts: Sequence[str]) -> Markup:
    """Return quiet lines of text."""
    return Markup("").join(map(line, texts))


def line(text: str) -> Markup:
    """Return one quiet line of text."""
    return Markup('<div style="font-size:13px;opacity:0.75">{}</div>').format(
        escape(text)
    )


def figure_row(figures: Sequence[tuple[str, str, str]]) -> Markup:
    """Return (label, value, note) side by side, wrapping on a narrow screen."""
    items = Markup("").join(
        Markup(
            '<div style="border:1px solid rgba(128,128,128,0.35);border-radius:6px;'
            'padding:6px 10px;min-width:110px">'
            '<div style="font-size:12px;opacity:0.75">{}</div>'
            '<div style="font-size:17px;font-weight:600">{}</div>'
            '<div style="font-size:12px;opacity:0.75">{}</div></div>'
        ).format(escape(label), escape(value), escape(note))
        for label, value, note in figures
    )
    return Markup('<div style="display:flex;flex-wrap:wrap;gap:8px">{}</div>').format(
        items
    )
