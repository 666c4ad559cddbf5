"""Markdown from a model as HTML that runs nothing and asks the network for nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.render.text import clean, escape

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

MAX_MARKDOWN_CHARS = 50_000
"""Longer text is shown as it is: unclosed brackets take quadratic time to parse."""
MAX_SHOWN_CHARS = 400_000
"""Longer text is cut, and the cut is marked: a cell stays under 1 MiB."""

_MAX_HTML_CHARS = 1 << 20
_INLINE_TAGS = {"a", "br", "code", "em", "s", "strong"}
_HEADING_TAGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_BLOCK_TAGS = {"blockquote", "hr", "li", "ol", "p", "pre", "ul"}
_TABLE_TAGS = {"table", "tbody", "td", "th", "thead", "tr"}
_TAGS = _INLINE_TAGS | _HEADING_TAGS | _BLOCK_TAGS | _TABLE_TAGS
# JupyterLab's sanitizer for untrusted notebooks keeps these declarations and drops
# every <style> element; translucent greys read on light and on dark themes.
_MONOSPACE = "font-family:ui-monospace,Menlo,Consolas,monospace"
_CELL = "border:1px solid rgba(128,128,128,0.4);padding:4px 10px"
_BLOCK = (
    f"background:rgba(128,128,128,0.12);padding:10px 12px;white-space:pre-wrap;"
    f"overflow-wrap:anywhere;{_MONOSPACE}"
)
_STYLES = {
    "blockquote": "border-left:3px solid rgba(128,128,128,0.5);"
    "margin-left:0;padding-left:12px",
    "code": _MONOSPACE,
    "pre": _BLOCK,
    "table": "border-collapse:collapse",
    "td": _CELL,
    "th": _CELL,
}


def markdown_to_html(text: str) -> Markup:
    """Return ``text`` as HTML: CommonMark, tables and strikethrough.

    HTML in the text is shown, not obeyed. Images are shown as links, links lead
    to http and https addresses only. Text that is too long to parse is shown
    preformatted.
    """
    text = clean(text)
    if len(text) <= MAX_MARKDOWN_CHARS:
        html = _sanitized(_parser().render(text))
        if len(html) <= _MAX_HTML_CHARS:
            return html
    return preformatted(text)


def preformatted(text: str) -> Markup:
    """Return ``text`` as HTML that shows every character of it, lines kept."""
    text = clean(text)
    n_cut = len(text) - MAX_SHOWN_CHARS
    note = Markup("")
    if n_cut > 0:
        note = Markup("<p><em>… {:,} more characters are not shown</em></p>").format(
            n_cut
        )
    shown = escape(text[:MAX_SHOWN_CHARS])
    return Markup('<pre style="{}">{}</pre>').format(_BLOCK, shown) + note


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False})
    return parser.enable(["table", "strikethrough"]).disable("image")


def _sanitized(html: str) -> Markup:
    """Return ``html`` with the tags, links and styles of this module only.

    This is the last step: nothing edits the HTML after the sanitizer has seen it.
    """
    import nh3

    cleaned = nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        attribute_filter=_keep,
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer",
        set_tag_attribute_values={tag: {"style": css} for tag, css in _STYLES.items()},
    )
    return Markup(cleaned)  # noqa: S704 - what the sanitizer returns is the safe form


def _keep(_tag: str, attribute: str, value: str) -> str | None:
    """Drop relative links: in a notebook they address the notebook server.

    Drop also what the sanitizer takes on any tag; ``rel`` and ``style`` are its own.
    """
    if attribute == "href":
        return value if value.lower().startswith(("http://", "https://")) else None
    return value if attribute in {"rel", "start", "style"} else None
