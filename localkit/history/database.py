"""The history database: what was said, answered and judged, kept between kernels."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from localkit.errors import HistoryInvalid
from localkit.history import schema
from localkit.io.database import Database, Tables

if TYPE_CHECKING:
    import sqlite3
    from contextlib import AbstractContextManager
    from pathlib import Path

    from localkit.history.answers import Answers
    from localkit.history.conversations import Conversations

_HINT = "move it away to start a new one, or use the localkit that wrote it"


class History:
    """The history database at ``path``; made when missing, mode 0600.

    None keeps everything in memory, until it is closed.

    Raises:
        HistoryInvalid: the file is damaged, or a newer localkit wrote it.
        DiskFull: there is no room for it.
        StoreError: the folder may not be written.
        StoreLocked: another process does not let go of it.
    """

    def __init__(self, path: Path | None, *, caches: bool = True) -> None:
        """Open the file; ``caches`` says whether answers are kept and shown again."""
        self.path = path
        self._caches = caches
        self._database = Database(
            path,
            Tables(schema.VERSION, schema.TABLES),
            invalid=self.invalid,
            foreign_keys=True,
        )

    @cached_property
    def conversations(self) -> Conversations:
        """The named conversations."""
        from localkit.history.conversations import Conversations

        return Conversations(self)

    @cached_property
    def answers(self) -> Answers:
        """The answers that may be shown again."""
        from localkit.history.answers import Answers

        return Answers(self, active=self._caches)

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Hold one write transaction: all of it is stored, or nothing.

        Raises:
            HistoryInvalid: the file is damaged.
            DiskFull: there is no room for the change.
            StoreLocked: another process does not let go of the file.
        """
        return self._database.transaction()

    def select(
        self, query: str, *values: str | int | float | bytes | None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of ``query``.

        Raises:
            HistoryInvalid: the file is damaged.
        """
        return self._database.select(query, *values)

    def wipe(self, *, shrink: bool = False) -> bool:
        """Make sure that nothing of what was deleted can be read from the file.

        Args:
            shrink: Give its room back to the disk too.

        Returns:
            False while another process still reads what was there.
        """
        return self._database.wipe(shrink=shrink)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._database.close()

    def invalid(self, what: str, hint: str = _HINT) -> HistoryInvalid:
        """Return the error that says what is wrong with the file."""
        return HistoryInvalid(
            f"history {self.path or 'in memory'} {what}",
            hint=hint,
        )
