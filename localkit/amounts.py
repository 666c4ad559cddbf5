"""Amounts as people write them: memory and durations."""

from __future__ import annotations

import math
import re

from localkit.errors import UsageError

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "K": 2**10,
    "M": 2**20,
    "G": 2**30,
    "T": 2**40,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
# ASCII: a superscript digit is a digit to `\d`, and no number to float().
_PART = r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)"
_DURATION = re.compile(rf"(?:{_PART})+")


def parse_bytes(text: str) -> int:
    """Return the bytes that ``8GB``, ``6.5 GiB`` or ``8589934592`` stand for.

    ``GB`` is 10⁹ bytes, ``GiB`` and a bare ``G`` are 2³⁰.

    Raises:
        UsageError: the text is no amount of memory.
    """
    match = _AMOUNT.fullmatch(text)
    unit = match and _UNITS.get(match.group(2).upper())
    if not match or not unit or float(match.group(1)) * unit < 1:
        msg = f"'{text}' is no amount of memory"
        raise UsageError(msg, hint="write it like 8GB, 6.5GiB or 512MiB")
    return int(float(match.group(1)) * unit)


def parse_duration(asked: str | float) -> float:
    """Return the seconds that ``5m``, ``1h30m``, ``300`` or 300 stand for.

    As in Ollama: a bare number is seconds, anything negative is for ever
    (infinity), and Go's units ``ms``, ``s``, ``m``, ``h`` may follow each other.

    Raises:
        UsageError: the text is no duration.
    """
    seconds = _seconds(asked.strip()) if isinstance(asked, str) else float(asked)
    if math.isnan(seconds):
        msg = f"'{asked}' is no duration"
        raise UsageError(msg, hint="write it like 5m, 1h30m, 300 or -1 (for ever)")
    return math.inf if seconds < 0 else seconds


def _seconds(text: str) -> float:
    """Return seconds, below 0 where a minus stands in front; NaN for no duration."""
    sign = -1 if text.startswith("-") else 1
    text = text.removeprefix("-")
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return sign * float(text)
    if not _DURATION.fullmatch(text):
        return math.nan
    return sign * sum(
        float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text)
    )
