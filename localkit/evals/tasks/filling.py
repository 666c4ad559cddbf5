"""Fill a form with the fields of a row."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from localkit.errors import DatasetInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACEHOLDER = re.compile(r"\{(\w+)\}")
HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: no character, and nothing that UTF-8 can write."""


def fill(form: str, row: Mapping[str, Any], where: str) -> str:
    """Return ``form`` with every ``{field}`` replaced by the row's text.

    Nothing but the name of a field is read in braces: no attribute, no format.

    Args:
        form: Text with fields in braces.
        row: From field to value.
        where: Names the row in a complaint.

    Raises:
        DatasetInvalid: the row lacks a field, or it holds no text.
    """
    return PLACEHOLDER.sub(
        lambda match: text_in(field_of(row, match[1], where), match[1], where), form
    )


def field_of(row: Mapping[str, Any], field: str, where: str) -> Any:
    """Return a field of a row.

    Raises:
        DatasetInvalid: the row has no such field.
    """
    try:
        return row[field]
    except KeyError as error:
        msg = f"{where} has no field '{field}'"
        has = ", ".join(map(str, row)) or "none"
        raise DatasetInvalid(msg, hint=f"it has {has}") from error


def text_in(value: object, field: str, where: str) -> str:
    """Return a value as text: what a person wrote, or a number.

    Raises:
        DatasetInvalid: it is missing (None, NaN, blank), of another type, or holds
            a NUL or half a surrogate pair.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if not isinstance(value, str) or not value.strip():
        msg = f"{where} has no text in field '{field}'"
        raise DatasetInvalid(msg, hint="fill it in, or leave the row out")
    if not value.isascii() and HALF.search(value):
        msg = f"{where} has half a character in field '{field}'"
        raise DatasetInvalid(msg, hint="write the data as UTF-8 again")
    if "\0" in value:
        msg = f"{where} has a NUL in field '{field}'"
        raise DatasetInvalid(msg, hint="it is no text: clean the data")
    return value
