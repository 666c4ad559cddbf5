"""Rows of a data set: from JSON Lines, CSV or Parquet, a list, a DataFrame, a Dataset.

Formats that hold nothing but data, every size capped: a hostile file is refused,
never run and never read without end.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.errors import DatasetInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    Data = str | Path | Iterable[Mapping[str, Any]] | pd.DataFrame
    """A file, or rows, those of a `datasets.Dataset` too."""

MAX_FILE_BYTES = 256 << 20
MAX_LINE_BYTES = 4 << 20
MAX_ROWS = 1_000_000

Row = dict[str, Any]


def read_rows(data: Data) -> list[Row]:
    """Return the rows of ``data``, each a mapping from field to value.

    A path ends in ``.jsonl``, ``.ndjson``, ``.csv``, ``.tsv`` or ``.parquet``; the
    CSV kinds begin with a line of field names and hold text only.

    Raises:
        DatasetInvalid: there is no row, a row is no mapping, or the file is
            missing, too large, or not of the format its name says.
    """
    if isinstance(data, str | Path):
        path = Path(data).expanduser()
        rows = list(capped(parse_rows(read_bytes(path), path.name), path.name))
        name = path.name
    else:
        name = type(data).__name__
        rows = list(capped(_rows_of(data), name))
    if not rows:
        msg = f"{name} holds no rows"
        raise DatasetInvalid(msg, hint="give at least one row")
    return rows


def read_bytes(path: Path, *, most: int = MAX_FILE_BYTES) -> bytes:
    """Return the bytes of a plain file that is not larger than ``most``.

    Raises:
        DatasetInvalid: there is no such file, or it is too large.
    """
    try:
        # A pipe or a device would be read for ever.
        if not path.is_file():
            msg = f"there is no file '{path}'"
            raise DatasetInvalid(msg, hint="check the path")
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        msg = f"'{path}' cannot be read: {error.strerror}"
        raise DatasetInvalid(msg, hint="give a file that you may read") from error
    if len(content) > most:
        msg = f"{path.name} is larger than {most >> 20} MiB"
        raise DatasetInvalid(msg, hint="cut it to the part that you need")
    return content


def decode(content: bytes, name: str) -> str:
    """Return the text of UTF-8 bytes, line ends as they are.

    Raises:
        DatasetInvalid: the bytes are not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        msg = f"{name} is not UTF-8 at byte {error.start}"
        raise DatasetInvalid(msg, hint="convert it to UTF-8 text") from error


def parse_rows(content: bytes, name: str) -> Iterator[Row]:
    """Yield the rows of a file's bytes, by the format that its name says.

    Raises:
        DatasetInvalid: the format is another, or unknown.
    """
    suffix = Path(name).suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _json_lines(content, name)
    if suffix in (".csv", ".tsv"):
        return _csv_rows(content, name, "\t" if suffix == ".tsv" else ",")
    if suffix == ".parquet":
        from localkit.evals.tasks.parquet import parquet_rows

        return parquet_rows(content, name)
    msg = f"{name} is neither .jsonl, .ndjson, .csv, .tsv nor .parquet"
    raise DatasetInvalid(msg, hint="convert it to one of these formats")


def _json_lines(content: bytes, name: str) -> Iterator[Row]:
    for number, line in enumerate(_lines(content, name), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            msg = f"{name} line {number} is not JSON: {error}"
            raise DatasetInvalid(msg, hint="one JSON object a line") from error
        if not isinstance(row, dict):
            msg = f"{name} line {number} is a {type(row).__name__}, not an object"
            raise DatasetInvalid(msg, hint="one JSON object a line")
        yield row


def _csv_rows(content: bytes, name: str, delimiter: str) -> Iterator[Row]:
    text = "".join(_lines(content, name))
    header = text.partition("\n")[0]
    # Spreadsheets write semicolons where the comma stands before decimals.
    if delimiter == "," and "," not in header and ";" in header:
        delimiter = ";"
    lines = io.StringIO(text, newline="")
    reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
    try:
        named = reader.fieldnames or []
        twice = next((field for field in named if named.count(field) > 1), None)
        if twice is not None:
            msg = f"{name} names the field '{twice}' twice"
            raise DatasetInvalid(msg, hint="give every column a name of its own")
        for row in reader:
            if None in row or None in row.values():
                msg = f"{name} line {reader.line_num} has another number of fields"
                raise DatasetInvalid(msg, hint="as many fields as the first line names")
            yield dict(row)
    except csv.Error as error:
        msg = f"{name} line {reader.line_num} is not CSV: {error}"
        raise DatasetInvalid(msg, hint="save it as CSV with quotes doubled") from error


def _lines(content: bytes, name: str) -> Iterator[str]:
    """Yield lines with their ends, none longer than the cap."""
    for number, line in enumerate(io.BytesIO(content), 1):
        if len(line) > MAX_LINE_BYTES:
            msg = f"{name} line {number} is {len(line)} bytes"
            raise DatasetInvalid(msg, hint=f"at most {MAX_LINE_BYTES} bytes a line")
        start = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        yield decode(start, f"{name} line {number}")


def _refuse_constant(constant: str) -> None:
    msg = f"{constant} is not a JSON value"
    raise ValueError(msg)


def _rows_of(data: Any) -> Iterator[Row]:
    """Yield rows of an object in memory."""
    if _is_a(data, "datasets", "DatasetDict"):
        msg = f"a DatasetDict holds several splits: {', '.join(data)}"
        raise DatasetInvalid(msg, hint="give one of them, such as data['validation']")
    if _is_a(data, "pandas", "DataFrame"):
        data = data.to_dict("records")
    if not isinstance(data, Iterable):
        msg = f"a {type(data).__name__} has no rows"
        raise DatasetInvalid(
            msg, hint="give a file, a list of mappings, a DataFrame or a Dataset"
        )
    for number, row in enumerate(data, 1):
        if not isinstance(row, Mapping):
            msg = f"row {number} is a {type(row).__name__}, not a mapping"
            raise DatasetInvalid(msg, hint="one mapping from field to value a row")
        yield {str(field): value for field, value in row.items()}


def _is_a(data: object, module: str, name: str) -> bool:
    """Whether ``data`` is of a class of a library, without importing the library."""
    loaded = sys.modules.get(module)  # an object of it exists only if it is loaded
    return loaded is not None and isinstance(data, getattr(loaded, name))


def capped(rows: Iterator[Row], name: str) -> Iterator[Row]:
    """Yield the rows up to the cap on their number.

    Raises:
        DatasetInvalid: there are more.
    """
    for number, row in enumerate(rows, 1):
        if number > MAX_ROWS:
            msg = f"{name} has more than {MAX_ROWS} rows"
            raise DatasetInvalid(msg, hint="cut it to the part that you need")
        yield row
