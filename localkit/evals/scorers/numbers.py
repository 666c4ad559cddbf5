"""Numbers as people and models write them."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import regex

# Bounds keep a search linear and a number small: 10 ** 400 is beyond any double.
MAX_DIGITS = 400
MAX_EXPONENT = 400
_SPACES = "\u00a0\u2009\u202f"
_VULGAR = {
    "½": Fraction(1, 2),
    "⅓": Fraction(1, 3),
    "⅔": Fraction(2, 3),
    "¼": Fraction(1, 4),
    "¾": Fraction(3, 4),
    "⅕": Fraction(1, 5),
    "⅛": Fraction(1, 8),
}

Decimals = Literal[".", ","]


def _number(decimals: Decimals) -> regex.Pattern[str]:
    mark = regex.escape(decimals)
    thousands = f"[{'.' if decimals == ',' else ','}'{_SPACES}]"
    whole = rf"\d{{1,3}}(?:{thousands}\d{{3}})+(?!\d)|\d++"
    return regex.compile(
        rf"""
        (?<!\d) (?P<sign>(?<![\w)\]])[-−+])?
        (?:[$€£¥]\s?)? (?P<inner>(?<=[$€£¥]\s?)[-−])?
        (?:
          (?P<mixed>\d{{1,9}})[ ](?P<over>\d{{1,9}})/(?P<under>\d{{1,9}})(?![\d/])
        | (?P<top>\d++)\s?/\s?(?P<bottom>\d++)(?!/)
        | (?P<units>\d{{1,9}})?(?P<vulgar>[{"".join(_VULGAR)}])
        | (?P<whole>{whole})(?:{mark}(?P<part>\d++))?
          (?:[eE](?P<exponent>[-+−]?\d{{1,9}})(?!\w))?
        | {mark}(?P<bare>\d++)
        )
        """,
        regex.VERBOSE,
    )


_PATTERNS: dict[Decimals, regex.Pattern[str]] = {".": _number("."), ",": _number(",")}


def numbers_in(text: str, *, decimals: Decimals = ".") -> list[tuple[str, Fraction]]:
    """Return the numbers in ``text``: each as written, and its exact value.

    Reads signs, thousands separators, decimals, exponents, fractions (``3/4``,
    ``1 1/2``, ``½``) and a currency before the number: ``-$1,234.50``. A percent
    sign changes nothing. What has more than 400 digits or an exponent beyond 400
    is no number.

    Args:
        text: What was written.
        decimals: What stands before the decimals; the other one is a separator.
    """
    found = []
    for match in _PATTERNS[decimals].finditer(text):
        value = _value(match)
        if value is not None:
            found.append((match[0].strip(), value))
    return found


def _value(match: regex.Match[str]) -> Fraction | None:
    if sum(one.isdigit() for one in match[0]) > MAX_DIGITS:
        return None
    value = _magnitude(match)
    if value is None:
        return None
    negative = (match["sign"] or match["inner"] or "+") in "-−"
    return -value if negative else value


def _magnitude(match: regex.Match[str]) -> Fraction | None:
    if match["mixed"] is not None:
        return _ratio(match["over"], match["under"], plus=int(match["mixed"]))
    if match["top"] is not None:
        return _ratio(match["top"], match["bottom"])
    if match["vulgar"] is not None:
        return int(match["units"] or 0) + _VULGAR[match["vulgar"]]
    if match["bare"] is not None:
        return Fraction(f"0.{match['bare']}")
    exponent = int((match["exponent"] or "0").replace("−", "-"))
    if abs(exponent) > MAX_EXPONENT:
        return None
    digits = "".join(one for one in match["whole"] if one.isdigit())
    value = Fraction(f"{digits}.{match['part'] or '0'}")
    return value * Fraction(10) ** exponent


def _ratio(top: str, bottom: str, *, plus: int = 0) -> Fraction | None:
    return plus + Fraction(int(top), int(bottom)) if int(bottom) else None
