"""One SQLite file that several threads and processes write, and that a crash spares.

WAL mode, synced at every commit, mode 0600; what is deleted is overwritten. A file
knows the version of its tables: an older one is brought up to date when it is
opened, a newer one and one of another program are left alone.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localkit.errors import DiskFull, LocalkitError, StoreLocked
from localkit.io.disk import explained_write_errors, free_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_BUSY_S = 30.0
_ROOM = 16 << 20
"""Bytes that a disk should have free for what is about to be written."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What a database holds, and the way to it from older versions."""

    version: int
    create: Sequence[str]
    """Statements that make the tables of this version."""
    steps: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Statements that lead from a version to the next one."""


def statements(script: str) -> tuple[str, ...]:
    """Return the statements of ``script``, which holds no semicolon but theirs."""
    return tuple(one for one in map(str.strip, script.split(";")) if one)


class Database:
    """The database at ``path``, made when missing; None: in memory only.

    Raises:
        DiskFull: there is no room for it.
        StoreError: the folder may not be written.
        StoreLocked: another process does not let go of it.
        LocalkitError: it is damaged, or of a newer localkit: what ``invalid`` makes
            of the reason.
    """

    def __init__(
        self,
        path: Path | None,
        tables: Tables,
        *,
        invalid: Callable[[str], LocalkitError],
        foreign_keys: bool = False,
    ) -> None:
        """Open the file and bring its tables up to date.

        Args:
            path: The file.
            tables: What it holds.
            invalid: Makes the error from why the file cannot be used.
            foreign_keys: Whether references between tables are enforced.
        """
        self.path = path
        self._invalid = invalid
        if path is not None:
            with explained_write_errors(_ROOM, path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)
        # One connection for all threads; the lock keeps a transaction whole.
        self._lock = threading.RLock()
        self._db = sqlite3.connect(
            ":memory:" if path is None else path,
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            with self._guard():
                self._db.execute("PRAGMA journal_mode = WAL")
                # Synced at every commit: a sample took 0.1 to 60 s to measure.
                self._db.execute("PRAGMA synchronous = FULL")
                # What is removed is gone: answers may quote private prompts.
                self._db.execute("PRAGMA secure_delete = ON")
                self._db.execute(f"PRAGMA foreign_keys = {int(foreign_keys)}")
            with self.transaction() as db:
                self._prepare(db, tables)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, db: sqlite3.Connection, tables: Tables) -> None:
        # Not `executescript` below: it would commit the transaction at hand.
        there = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
        if "schema" not in there:
            if there:
                raise self._invalid("holds tables of something else")
            db.execute("CREATE TABLE schema (version INTEGER NOT NULL)")
            for statement in tables.create:
                db.execute(statement)
            db.execute("INSERT INTO schema VALUES (?)", (tables.version,))
            return
        row = db.execute("SELECT version FROM schema").fetchone()
        found = None if row is None else row[0]
        if not isinstance(found, int) or not 1 <= found <= tables.version:
            msg = f"has schema version {found}, this localkit reads 1 to "
            raise self._invalid(f"{msg}{tables.version}")
        if found < tables.version:
            for older in range(found, tables.version):
                for statement in tables.steps[older]:
                    db.execute(statement)
            db.execute("UPDATE schema SET version = ?", (tables.version,))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold one write transaction: all of it is stored, or nothing.

        Raises:
            DiskFull: there is no room for the change.
            StoreLocked: another process does not let go of the file.
            LocalkitError: it is damaged.
        """
        with self._guard():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def select(
        self, query: str, *values: str | int | float | bytes | None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of ``query``.

        Raises:
            LocalkitError: the file is damaged.
        """
        with self._guard():
            return self._db.execute(query, values).fetchall()

    def wipe(self, *, shrink: bool = False) -> bool:
        """Empty the log, so that what was deleted stands nowhere any more.

        Args:
            shrink: Give its room back too; the file is written anew for it.

        Returns:
            Whether the log is empty now; False: another process still reads from it,
            and empties it when it closes.

        Raises:
            DiskFull: there is no room to shrink the file; what was deleted is gone.
        """
        with self._guard():
            checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)"
            busy = self._db.execute(checkpoint).fetchone()[0]
            if shrink:
                self._db.execute("VACUUM")
                busy = self._db.execute(checkpoint).fetchone()[0]
        return not busy

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.DatabaseError as error:
                if "disk is full" in str(error) and self.path is not None:
                    free = free_bytes(self.path.parent)
                    raise DiskFull(_ROOM, free, self.path.parent) from error
                if "database is locked" in str(error):
                    msg = f"another process has held {self.path} for {_BUSY_S:.0f} s"
                    raise StoreLocked(msg, hint="wait for it, or stop it") from error
                # Without the text that was stored: errors go to logs.
                what = str(error).partition(" with text ")[0]
                raise self._invalid(f"cannot be used: {what}") from error
            except UnicodeDecodeError as error:  # names of tables are damaged
                raise self._invalid("cannot be used: it is not UTF-8") from error
