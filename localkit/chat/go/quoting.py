"""Texts in quotes, as ``strconv.Quote`` writes them."""

from __future__ import annotations

_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}


def quoted(text: str, quote: str, *, ascii_only: bool = False) -> str:
    """Return ``text`` in quotes, what cannot be seen escaped."""
    inner = "".join(_escaped(one, quote, ascii_only=ascii_only) for one in text)
    return f"{quote}{inner}{quote}"


def _escaped(character: str, quote: str, *, ascii_only: bool) -> str:
    code = ord(character)
    if character == quote:
        return f"\\{character}"
    if character in _ESCAPES:
        return _ESCAPES[character]
    if 0xDC80 <= code <= 0xDCFF:  # a raw byte
        return f"\\x{code - 0xDC00:02x}"
    if (code < 0x7F if ascii_only else character.isprintable()) and code >= 0x20:
        return character
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
