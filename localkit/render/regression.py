"""One finding of a regression run as HTML: its sign, its words, both texts as one."""

from __future__ import annotations

from markupsafe import Markup

from localkit.render.text import escape
from localkit.render.word_diff import word_diff_html

_SIGNS = {"changed": "✗", "within": "≈", "noted": "·", "same": "="}


def finding_html(
    standing: str, words: str, before: str | None = None, after: str | None = None
) -> Markup:
    """Return a line for a finding, and under it what two texts say differently."""
    line = Markup('<p style="margin:6px 0">{} {}</p>').format(
        _SIGNS.get(standing, "·"), escape(words)
    )
    if before is None or after is None:
        return line
    return line + Markup(
        '<div style="white-space:pre-wrap;border-left:3px solid rgba(128,128,128,0.5);'
        'padding:2px 12px;margin:6px 0 14px">{}</div>'
    ).format(word_diff_html(before, after))
