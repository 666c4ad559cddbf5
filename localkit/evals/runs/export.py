"""The answers of a run as a file that other tools read."""

from __future__ import annotations

import csv
import json
import math
import secrets
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError
from localkit.evals.runs.database import Runs
from localkit.evals.runs.listing import find_run
from localkit.evals.runs.rows import COLUMNS, rows_of
from localkit.io.atomic import publish
from localkit.io.disk import explained_write_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

FORMATS = (".jsonl", ".csv", ".parquet")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What begins a formula in a spreadsheet, or hides that one begins (OWASP, "CSV
Injection")."""
_BATCH = 5_000
_ROOM = 1 << 20


def export_run(path: Path, id_: str, file: Path) -> int:
    """Write a row an answer to ``file``; return how many.

    The ending says the format: ``.jsonl``, ``.csv`` or ``.parquet``. In CSV a text
    that a spreadsheet would compute gets a ``'`` put before it.

    Args:
        path: The results database.
        id_: The run, or the start of its id.
        file: What to write, whole or not at all; one that is there is replaced.

    Raises:
        UsageError: there is no such run or format, or pyarrow is missing.
        ResultsInvalid: an answer is damaged.
        DiskFull: there is no room for the file.
    """
    write = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}.get(file.suffix)
    if write is None:
        msg = f"'{file.name}' is of no format that runs are exported to"
        raise UsageError(msg, hint=f"end it in {', '.join(FORMATS)}")
    with closing(Runs(path)) as runs:
        run = find_run(runs, id_)
        extra = [
            f"score_{name}"
            for part in run.parts
            for name in part.task.scorers
            if len(part.task.scorers) > 1
        ]
        columns = [*COLUMNS, *dict.fromkeys(extra)]
        unfinished = file.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with explained_write_errors(_ROOM, file.parent):
                count = write(rows_of(runs, run), columns, unfinished)
                publish(unfinished, file)
        finally:
            unfinished.unlink(missing_ok=True)
    return count


def safe_cell(value: Any) -> Any:
    """Return a value of a CSV cell that no spreadsheet computes."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _jsonl(rows: Iterable[dict[str, Any]], columns: Sequence[str], file: Path) -> int:
    count = 0
    with file.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            count += 1
            whole = {name: _plain(row[name]) for name in columns if name in row}
            stream.write(json.dumps(whole, ensure_ascii=False, allow_nan=False) + "\n")
    return count


def _csv(rows: Iterable[dict[str, Any]], columns: Sequence[str], file: Path) -> int:
    count = 0
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(map(safe_cell, columns))
        for row in rows:
            count += 1
            writer.writerow([safe_cell(_plain(row.get(name))) for name in columns])
    return count


def _parquet(rows: Iterable[dict[str, Any]], columns: Sequence[str], file: Path) -> int:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        msg = "Parquet needs pyarrow, which is not installed"
        raise UsageError(msg, hint="pip install pyarrow, or export .jsonl") from error
    whole_numbers = {"epoch", "gold", "n_prompt", "n_generated"}
    fractions = {"score", "ttft_s", "total_s"}

    def kind(name: str) -> Any:
        if name in whole_numbers:
            return pa.int64()
        is_fraction = name in fractions or name.startswith("score_")
        return pa.float64() if is_fraction else pa.string()

    schema = pa.schema([(name, kind(name)) for name in columns])
    count = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for batch in _batches(rows):
            count += len(batch)
            # A column that a row lacks is empty there.
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return count


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _plain(value: Any) -> Any:
    """Return a value that JSON has a word for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
