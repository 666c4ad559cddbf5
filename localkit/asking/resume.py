"""Answers of a map, kept in a file as they come, so that a killed one goes on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from localkit.errors import DiskFull, ResultsInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

# "lkmp", so that another program's database is not written to.
_APPLICATION = 0x6C6B6D70
# Another process may be writing its row.
_PATIENCE_S = 30.0


class Answers:
    """A SQLite file with one row an answer; each is on disk before the next."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            ResultsInvalid: the file is something else.
        """
        self._path = path
        try:
            self._database = sqlite3.connect(
                path, timeout=_PATIENCE_S, isolation_level=None
            )
        except sqlite3.Error as error:
            raise self._invalid(error) from error
        with self._reported():
            (found,) = self._database.execute("PRAGMA application_id").fetchone()
            (n_tables,) = self._database.execute(
                "SELECT count(*) FROM sqlite_master"
            ).fetchone()
            if n_tables and found != _APPLICATION:
                self.close()
                raise self._invalid("another program's database")
            self._database.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS answers"
                " (key TEXT PRIMARY KEY, answer TEXT NOT NULL)"
            )

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the answer that is kept under ``key``."""
        with self._reported():
            row = self._database.execute(
                "SELECT answer FROM answers WHERE key = ?", (key,)
            ).fetchone()
            found: dict[str, Any] | None = None if row is None else json.loads(row[0])
            return found

    def put(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep ``answer`` under ``key``."""
        with self._reported():
            self._database.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?)",
                (key, json.dumps(answer, ensure_ascii=False)),
            )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise DiskFull(1 << 20, 0, self._path.parent) from error
            raise self._invalid(error) from error
        except (sqlite3.DatabaseError, json.JSONDecodeError) as error:
            raise self._invalid(error) from error

    def _invalid(self, reason: object) -> ResultsInvalid:
        msg = f"{self._path.name} does not hold answers of a map: {reason}"
        return ResultsInvalid(msg, hint="give resume= another file, or remove this one")


def answer_keys(texts: Sequence[str], setup: Mapping[str, Any]) -> list[str]:
    """Return a key per text: a digest of it, of the setup, and of its repetition.

    Two rows of one text are asked twice, and are two answers.
    """
    shared = json.dumps(setup, sort_keys=True, default=str)
    seen: Counter[str] = Counter()
    keys = []
    for text in texts:
        seen[text] += 1
        whole = json.dumps([shared, text, seen[text]])
        keys.append(hashlib.sha256(whole.encode()).hexdigest())
    return keys
