"""JSON as Go writes it, so that equal layers have equal digests in Ollama's stores.

Differences from Python's: no blanks, every ``<``, ``>`` and ``&`` escaped, a line
end after the value, keys of maps sorted, and a float without a fraction written
as an integer (``encoding/json``, ``floatEncoder``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from ctypes import c_float
from typing import Any

_ESCAPED = str.maketrans(
    {char: f"\\u{ord(char):04x}" for char in ("<", ">", "&", "\u2028", "\u2029")}
)


def go_json(value: Any) -> bytes:
    """Return ``value`` as one line of JSON, as Go's encoder writes it.

    Mappings keep their order: sort the keys of what is a map in Go.

    Raises:
        ValueError: a number is not finite.
    """
    return f"{_encoded(value)}\n".encode()


def _encoded(value: Any) -> str:
    if isinstance(value, Mapping):
        items = (f"{_text(str(key))}:{_encoded(item)}" for key, item in value.items())
        return f"{{{','.join(items)}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(_encoded(item) for item in value)}]"
    if isinstance(value, float):
        return _number(value)
    return _text(value)


def _text(value: Any) -> str:
    # None of the escaped characters can stand outside a string here.
    return json.dumps(value, ensure_ascii=False).translate(_ESCAPED)


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no JSON number")
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return str(int(value)) if value.is_integer() else _plain(value)
    mantissa, _, exponent = repr(value).partition("e")
    sign = "-" if exponent.startswith("-") else "+"
    digits = exponent.lstrip("+-0")
    return f"{mantissa.removesuffix('.0')}e{sign}{digits}"


def _plain(value: float) -> str:
    """Return the shortest digits of a float without an exponent."""
    text = repr(value)
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    places = len(mantissa.partition(".")[2]) - int(exponent)
    return f"{value:.{places}f}"


def shortest_float32(value: float) -> float:
    """Return the float with the fewest digits that is ``value`` in 32 bits.

    Ollama keeps a parameter such as 0.7 in 32 bits and writes 0.7 again.
    """
    wanted = c_float(value).value
    for n_digits in range(1, 10):
        short = float(f"{wanted:.{n_digits}g}")
        if c_float(short).value == wanted:
            return short
    return wanted
