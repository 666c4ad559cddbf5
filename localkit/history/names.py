"""Names of what is kept, and when it was."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

from localkit.errors import UsageError

_LONGEST = 80


def check_name(name: str) -> None:
    """Refuse a name that could not be typed, or read back from a screen.

    Raises:
        UsageError: it is empty, too long, or holds anything but letters, digits,
            single spaces and ``_ . - : /``; or begins with ``-``.
    """
    plain = all(
        unicodedata.category(letter)[0] in "LMN" or letter in "_.-:/ "
        for letter in name
    )
    spaced = "" not in name.split(" ")
    if plain and spaced and len(name) <= _LONGEST and not name.startswith("-"):
        return
    msg = f"the name is {name[:_LONGEST]!r}"
    hint = f"use letters, digits, spaces and _ . - : /, at most {_LONGEST}"
    raise UsageError(msg, hint=hint)


def now() -> str:
    """Return the time, ISO 8601 in UTC, with what tells two turns apart."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
