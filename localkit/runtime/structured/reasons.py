"""What llguidance says is wrong, for a person to read."""

from __future__ import annotations

import re

_MAX_CHARACTERS = 200
# Sent with a message: its parser's state, a stack trace, lines of the grammar.
_NOISE = re.compile(r"<(?:non-verbose/|state|backtrace)>.*", re.DOTALL)
_EXCERPT = re.compile(r"^\s*(?:\d+ \|.*|\^+)$", re.MULTILINE)
_PLACE = re.compile(r"^(?:at )?(\d+)\(\d+\): ")


def reason(error: str, *, lines: bool) -> str:
    """Return llguidance's message as one line of at most 200 characters.

    ``lines``: keep the number of the line, which is the caller's and not of the
    text that was made from the caller's.
    """
    text = _EXCERPT.sub("", _NOISE.sub("", error))
    place = _PLACE.match(text)
    # Under a regular expression, repeated with its fault marked, the last line tells.
    if "\nerror: " in text:
        text = text.rpartition("\nerror: ")[2]
    elif "coerce_one_of" in text:
        text = "oneOf is supported only where its parts cannot overlap; write anyOf"
    line = " ".join(_PLACE.sub("", text).split())
    if place and lines:
        line = f"line {place[1]}: {line}"
    return line if len(line) <= _MAX_CHARACTERS else f"{line[: _MAX_CHARACTERS - 1]}…"
