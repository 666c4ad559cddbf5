"""Constants as Go spells them (``strconv.Unquote``, ``ParseInt``, ``ParseFloat``)."""

from __future__ import annotations

import re

from localkit.chat.go.failure import GoTemplateFault

_ESCAPE = re.compile(
    rb"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))",
    re.DOTALL,
)
_PLAIN = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
MAX_INT = (1 << 63) - 1


def unquote(text: str, line: int) -> str:
    """Return what a quoted text stands for; raw bytes become lone surrogates.

    Raises:
        GoTemplateFault: it holds an escape that Go does not know.
    """
    if text.startswith("`"):
        return text[1:-1].replace("\r", "")
    quote = text[0]

    def replaced(found: re.Match[bytes]) -> bytes:
        by_hex, by_octal, short, long, plain = found.groups()
        if by_hex or by_octal:
            code = int(by_hex, 16) if by_hex else int(by_octal, 8)
            if code > 255:
                raise GoTemplateFault("invalid syntax in a quoted text", line)
            # A rune in single quotes, a byte in double ones.
            return bytes([code]) if quote == '"' else chr(code).encode()
        if short or long:
            code = int(short or long, 16)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise GoTemplateFault("invalid syntax in a quoted text", line)
            return chr(code).encode()
        character = plain.decode("ascii", "replace")
        if character == quote:
            return plain
        if character not in _PLAIN:
            raise GoTemplateFault("invalid syntax in a quoted text", line)
        return bytes([_PLAIN[character]])

    value = _ESCAPE.sub(replaced, text[1:-1].encode("utf-8", "surrogateescape"))
    return value.decode("utf-8", "surrogateescape")


def rune(text: str, line: int) -> int:
    """Return the code of a character in single quotes."""
    value = unquote(text, line)
    if len(value) != 1:
        msg = f"malformed character constant: {text[:40]}"
        raise GoTemplateFault(msg, line)
    return ord(value)


def number(text: str, line: int) -> int | float:
    """Return a number: an int unless it is written with a point or exponent.

    Raises:
        GoTemplateFault: it is none, is complex, or does not fit 64 bits.
    """
    if text.endswith("i") and not text.lower().lstrip("+-").startswith("0x"):
        raise GoTemplateFault("complex numbers are not supported", line)
    is_hex = text.lower().lstrip("+-").startswith("0x")
    try:
        if is_hex and not re.search(r"[.pP]", text):
            value = int(text, 16)
        elif re.search(r"[.pP]" if is_hex else r"[.eEpP]", text):
            return float.fromhex(text) if is_hex else float(text)
        else:
            bare = text.lstrip("+-")
            old_octal = len(bare) > 1 and bare[0] == "0" and bare[1] in "01234567_"
            value = int(text, 8) if old_octal else int(text, 0)
    except (ValueError, OverflowError):
        msg = f"illegal number syntax: '{text[:40]}'"
        raise GoTemplateFault(msg, line) from None
    if not -MAX_INT - 1 <= value <= MAX_INT:
        msg = f"{text[:40]} overflows int"
        raise GoTemplateFault(msg, line)
    return value
