"""Text from a model or a file, without what would act on the screen that shows it."""

from __future__ import annotations

import re

from markupsafe import Markup
from markupsafe import escape as _escape_markup

# ECMA-48: CSI sequences, then OSC, DCS, SOS, PM and APC strings with their
# terminator, then two-character escapes. What is cut short loses its escape
# character only, and so does every 8-bit form: the rest is shown as text, because
# U+0090–U+009F also come from prose decoded with the wrong character set.
_TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"
    r"|\x1b[ -/]+[0-~]|\x1b[0-OQ-WYZ`-~]"
)
_LINE_END = re.compile(r"\r\n?|[\x85\u2028\u2029]")
# C0 and C1 controls but tab and line feed, and DEL.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Embeddings, overrides and isolates reorder what follows them ("Trojan Source",
# CVE-2021-42574). The marks U+061C, U+200E and U+200F stay: right-to-left prose
# needs them, and they reorder nothing but themselves.
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")


AS_WRITTEN = "mathjax_ignore tex2jax_ignore"
"""Classes of an element in which Jupyter leaves ``$5 and $6`` alone, and does not set
it as mathematics."""


def clean(text: str) -> str:
    """Return ``text`` without terminal sequences, control and reordering characters.

    Tabs and line ends stay, every line end as a line feed; half a surrogate pair
    becomes U+FFFD, so the result can always be encoded.
    """
    text = _TERMINAL.sub("", text)
    text = _LINE_END.sub("\n", text)
    text = _CONTROL.sub("", text)
    text = _BIDI.sub("", text)
    return _SURROGATE.sub("\ufffd", text)


def one_line(text: str, *, limit: int | None = None) -> str:
    """Return clean text on one line, cut with ``…`` after ``limit`` characters."""
    line = " ".join(clean(text).split())
    if limit is not None and len(line) > limit:
        return line[: limit - 1].rstrip() + "…"
    return line


def escape(text: str) -> Markup:
    """Return clean text that HTML shows as it is, also inside an attribute."""
    if isinstance(text, Markup):
        return text
    return _escape_markup(clean(text))
