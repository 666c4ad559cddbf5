"""Rows of a table, and a template filled with each of them."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Rows = Any
"""A DataFrame, a `datasets.Dataset`, or an iterable of mappings."""


class Table(NamedTuple):
    """Rows in order, with the frame they go back into."""

    rows: list[Mapping[str, Any]]
    frame: pd.DataFrame
    """The columns as given, with the index as given."""


def as_table(inputs: Rows) -> Table:
    """Return ``inputs`` as rows by column name.

    Raises:
        UsageError: they are something else, or two columns have one name.
    """
    import pandas as pd

    if isinstance(inputs, pd.DataFrame):
        frame = inputs.copy()
    elif isinstance(inputs, str | Mapping) or not isinstance(inputs, Iterable):
        raise _no_rows(type(inputs).__name__)
    else:
        given = list(inputs)
        wrong = next((row for row in given if not isinstance(row, Mapping)), None)
        if wrong is not None:
            raise _no_rows(f"list of {type(wrong).__name__}")
        names = list(dict.fromkeys(name for row in given for name in row))
        # By hand: pandas would make floats of integers where a row lacks one.
        columns = {name: [row.get(name) for row in given] for name in names}
        frame = pd.DataFrame(columns, index=range(len(given)))
        return Table(given, frame)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        msg = f"two columns are called '{twice}'"
        raise UsageError(msg, hint="rename one of them")
    rows: list[Mapping[str, Any]] = [
        {str(name): row[name] for name in row} for row in frame.to_dict("records")
    ]
    return Table(rows, frame)


class Template:
    """A text with columns in braces: ``"Summarise: {text}"``."""

    def __init__(self, source: str, columns: Iterable[object]) -> None:
        """Check it against the columns there are.

        Raises:
            UsageError: it is no template, or it names a column that is not there.
        """
        self._source = source
        try:
            parts = list(string.Formatter().parse(source))
        except ValueError as error:
            raise _no_template(error) from error
        fields = [name for _, name, _, _ in parts if name is not None]
        for _, _, _, conversion in parts:
            if conversion and conversion not in "rsa":
                raise _no_template(f"'!{conversion}' is no conversion")
        # `{row.a[0]}` reads a part of the column `row`.
        self.columns = tuple(dict.fromkeys(_first_name(name) for name in fields))
        there = [str(column) for column in columns]
        missing = [name for name in self.columns if name not in there]
        if missing:
            named = ", ".join(f"'{name}'" for name in missing)
            msg = f"the template names {named}, which is no column"
            hint = f"the columns are {', '.join(there) or 'none'}; braces are {{{{ }}}}"
            raise UsageError(msg, hint=hint)

    def fill(self, row: Mapping[str, Any]) -> str:
        """Return the text for ``row``.

        Raises:
            UsageError: the row has no value there, or one that cannot be put in.
        """
        for name in self.columns:
            if _is_missing(row.get(name)):
                msg = f"the row has no '{name}'"
                raise UsageError(msg, hint="fill or drop rows without a value")
        try:
            return self._source.format_map(row)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            msg = f"the row does not fit the template: {error}"
            raise UsageError(msg, hint="check the format of its values") from error


def _first_name(field: str) -> str:
    end = min((field.find(mark) for mark in ".[" if mark in field), default=len(field))
    return field[:end]


def _is_missing(value: Any) -> bool:
    """Whether a table has nothing in this place: None, NaN, NaT."""
    import pandas as pd

    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _no_template(reason: object) -> UsageError:
    msg = f"the template cannot be read: {reason}"
    return UsageError(msg, hint="write a brace as {{ or }}")


def _no_rows(what: str) -> UsageError:
    msg = f"the inputs are a {what}, not rows"
    return UsageError(
        msg, hint='pass a DataFrame, a Dataset, or a list of {"column": value}'
    )
