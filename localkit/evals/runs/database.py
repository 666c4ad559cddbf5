"""The results database: what was measured stays measured.

One SQLite file in WAL mode. A *cell* is one model under one spec in one runtime
(`spec.cell_key`); it holds *samples*: one chunk, one item, one repetition each. A
*run* (`runs.writing`) says which cells were asked for together, and by what command.
Every sample is its own transaction, synced before `Cell.put_…` returns, so a
killed kernel loses at most the sample in flight and the next run goes on from
there. Writing a sample that exists is a no-op: two processes that measure the
same cell agree on the first value.
"""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from localkit.errors import ResultsInvalid
from localkit.evals.running.spec import Spec, cell_key, spec_fields
from localkit.evals.runs import schema
from localkit.io.database import Database

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class Runs:
    """The results database at ``path``; made when missing, mode 0600.

    Raises:
        ResultsInvalid: the file is damaged, or a newer localkit wrote it.
        DiskFull: there is no room for it.
        StoreError: the folder may not be written.
        StoreLocked: another process does not let go of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = Database(path, schema.TABLES, invalid=self._invalid)

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Hold one write transaction: all of it is stored, or nothing.

        Raises:
            ResultsInvalid: the file is damaged.
            DiskFull: there is no room for the change.
            StoreLocked: another process does not let go of the file.
        """
        return self._database.transaction()

    def select(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        """Return the rows of ``query``.

        Raises:
            ResultsInvalid: the file is damaged.
        """
        return self._database.select(query, *values)

    def _invalid(self, what: str) -> ResultsInvalid:
        return ResultsInvalid(
            f"results database {self.path} {what}",
            hint="move it away to start a new one, or use the localkit that wrote it",
        )

    def cell(
        self, weights_digest: str, spec: Spec, fingerprint: Mapping[str, str | int]
    ) -> Cell:
        """Return the cell of that measurement, made when missing."""
        key = cell_key(weights_digest, spec, fingerprint)
        if self.select("SELECT 1 FROM cells WHERE key = ?", key):
            return Cell(self, key)
        with self.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO cells VALUES (?, ?, ?, ?, ?, ?)",
                (
                    key,
                    spec.kind,
                    weights_digest,
                    json.dumps(spec_fields(spec), sort_keys=True),
                    json.dumps(dict(fingerprint), sort_keys=True),
                    datetime.now(UTC).isoformat(timespec="seconds"),
                ),
            )
        return Cell(self, key)

    def cell_by_key(self, key: str) -> Cell:
        """Return a cell whose key is known; it may be empty."""
        return Cell(self, key)

    def environment_of(self, key: str) -> dict[str, str | int]:
        """Return the fingerprint of a cell; empty where there is no such cell.

        Raises:
            ResultsInvalid: it is damaged.
        """
        rows = self.select("SELECT fingerprint FROM cells WHERE key = ?", key)
        try:
            return dict(json.loads(rows[0][0])) if rows else {}
        except (ValueError, TypeError) as error:
            raise self._invalid(f"is damaged at cell {key[:12]}") from error

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._database.close()


class Cell:
    """The samples of one model under one spec in one runtime."""

    def __init__(self, runs: Runs, key: str) -> None:
        self._runs = runs
        self.key = key

    def items(self) -> frozenset[str]:
        """Return the names of the samples that are there."""
        rows = self._runs.select("SELECT item FROM samples WHERE cell = ?", self.key)
        return frozenset(row[0] for row in rows)

    def records(self, items: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return those of the named samples that are there; a few hundred at once.

        Raises:
            ResultsInvalid: one of them is damaged.
        """
        marks = ",".join("?" * len(items))
        rows = self._runs.select(
            f"SELECT item, value FROM samples WHERE cell = ? AND item IN ({marks})",  # noqa: S608
            self.key,
            *items,
        )
        return {item: self._as_record(item, value) for item, value in rows}

    def created(self) -> str:
        """Return when the cell was opened, ISO 8601 in UTC."""
        rows = self._runs.select("SELECT created FROM cells WHERE key = ?", self.key)
        return str(rows[0][0])

    def put_record(
        self, item: str, value: Mapping[str, Any], *, replace: bool = False
    ) -> None:
        """Store one sample as JSON; NaN stays NaN.

        A sample that is there stays, unless ``replace``.
        """
        text = json.dumps(dict(value), sort_keys=True)
        self._put(item, text.encode(), replace=replace)

    def put_many(self, records: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Store samples as JSON, all of them or, if one cannot be made, none."""
        with self._runs.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO samples VALUES (?, ?, ?)",
                (
                    (self.key, item, json.dumps(dict(value), sort_keys=True).encode())
                    for item, value in records
                ),
            )

    def put_arrays(self, item: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Store one sample as named arrays, compressed."""
        import numpy as np

        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        self._put(item, buffer.getvalue())

    def record(self, item: str) -> dict[str, Any]:
        """Return a sample that `put_record` stored.

        Raises:
            ResultsInvalid: it is missing or damaged.
        """
        return self._as_record(item, self._get(item))

    def arrays(self, item: str) -> dict[str, NDArray[Any]]:
        """Return a sample that `put_arrays` stored.

        Raises:
            ResultsInvalid: it is missing or damaged.
        """
        import numpy as np

        try:
            with np.load(io.BytesIO(self._get(item)), allow_pickle=False) as stored:
                return dict(stored)
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise self._damaged(item) from error

    def _put(self, item: str, value: bytes, *, replace: bool = False) -> None:
        verb = "REPLACE" if replace else "IGNORE"
        with self._runs.transaction() as db:
            db.execute(
                f"INSERT OR {verb} INTO samples VALUES (?, ?, ?)",  # noqa: S608
                (self.key, item, value),
            )

    def _as_record(self, item: str, text: bytes) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._damaged(item) from error
        if not isinstance(value, dict):
            raise self._damaged(item)
        return value

    def _get(self, item: str) -> bytes:
        rows = self._runs.select(
            "SELECT value FROM samples WHERE cell = ? AND item = ?", self.key, item
        )
        if not rows:
            raise self._damaged(item)
        return bytes(rows[0][0])

    def _damaged(self, item: str) -> ResultsInvalid:
        return ResultsInvalid(
            f"sample {item!r} of cell {self.key[:12]} in {self._runs.path} "
            "is missing or damaged",
            hint="remove its run (`runs rm`), or move the file away; measure again",
        )
