"""Numbers as Go's ``fmt`` and ``strconv`` write them."""

from __future__ import annotations

import math

_FIRST_EXPONENT = 6
"""``%v`` writes an exponent from here on, as ``strconv`` does."""


def general(value: float, precision: int = -1) -> str:
    """Return ``%g``: the shortest digits that mean the value, or ``precision``.

    The shortest have an exponent below 1e-4 and from a million on.
    """
    if not math.isfinite(value):
        return _special(value)
    if precision >= 0:
        number, _, exponent = f"{value:#.{max(precision, 1)}g}".partition("e")
        number = number.rstrip("0").rstrip(".") if "." in number else number
        return f"{number}e{exponent}" if exponent else number
    sign = "-" if math.copysign(1, value) < 0 else ""
    if not value:
        return f"{sign}0"
    number, _, exponent = repr(abs(value)).partition("e")
    whole, _, rest = number.partition(".")
    scale = len(whole) - 1 + int(exponent or 0)
    digits = (whole + rest).lstrip("0")
    if whole == "0":
        scale = -1 - (len(rest) - len(rest.lstrip("0")))
    digits = digits.rstrip("0")
    if scale < -4 or scale >= _FIRST_EXPONENT:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{scale:+03d}"
    if scale < 0:
        return f"{sign}0.{'0' * (-scale - 1)}{digits}"
    whole, rest = digits[: scale + 1].ljust(scale + 1, "0"), digits[scale + 1 :]
    return f"{sign}{whole}.{rest}" if rest else f"{sign}{whole}"


def fixed(value: float, precision: int) -> str:
    """Return ``%f``."""
    return f"{value:.{precision}f}" if math.isfinite(value) else _special(value)


def exponential(value: float, precision: int) -> str:
    """Return ``%e``."""
    return f"{value:.{precision}e}" if math.isfinite(value) else _special(value)


def integer(value: int, verb: str, flags: str, precision: int | None) -> str:
    """Return an int in the base that a verb names, its sign in front."""
    base = {"b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}.get(verb, "d")
    digits = format(abs(value), base).rjust(precision or 0, "0")
    if precision == 0 and value == 0:
        digits = ""
    if verb == "O":
        digits = f"0o{digits}"
    elif "#" in flags:
        digits = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}.get(verb, "") + digits
    if value < 0:
        return f"-{digits}"
    return f"+{digits}" if "+" in flags else f" {digits}" if " " in flags else digits


def character(value: int) -> str:
    """Return the character of a code; U+FFFD where there is none."""
    if not 0 <= value <= 0x10FFFF or 0xD800 <= value < 0xE000:
        return "\ufffd"
    return chr(value)


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
