"""What was run in a playground, each time as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError
from localkit.history.bodies import read, written
from localkit.history.names import now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.history.database import History


@dataclass(frozen=True, slots=True)
class Version:
    """One run: what was asked, of whom, and what came back."""

    id: int
    made: str
    """ISO 8601, UTC."""
    body: Mapping[str, Any]
    """JSON: prompt, variables, examples, columns, answers."""


class Versions:
    """The versions of one playground."""

    def __init__(self, history: History, playground: str) -> None:
        """Read and write in ``history``."""
        self._history = history
        self._playground = playground

    def add(self, body: Mapping[str, Any]) -> int:
        """Store a run and return its id."""
        text = written(body)
        with self._history.transaction() as db:
            done = db.execute(
                "INSERT INTO versions VALUES (NULL, ?, ?, ?)",
                (self._playground, text, now()),
            )
            return int(done.lastrowid or 0)

    def latest(self, n: int = 50) -> list[Version]:
        """Return up to ``n`` versions, the newest first."""
        rows = self._history.select(
            "SELECT id, made, body FROM versions WHERE playground = ?"
            " ORDER BY id DESC LIMIT ?",
            self._playground,
            n,
        )
        return [
            Version(id, made, read(self._history, body, "a version"))
            for id, made, body in rows
        ]

    def count(self) -> int:
        """Return how many there are."""
        rows = self._history.select(
            "SELECT COUNT(*) FROM versions WHERE playground = ?", self._playground
        )
        return int(rows[0][0])

    def get(self, id: int) -> Version:
        """Return the version with that id.

        Raises:
            UsageError: this playground has none such.
        """
        rows = self._history.select(
            "SELECT id, made, body FROM versions WHERE playground = ? AND id = ?",
            self._playground,
            id,
        )
        if not rows:
            known = ", ".join(str(one.id) for one in self.latest(5)) or "none yet"
            msg = f"playground '{self._playground}' has no version {id}"
            raise UsageError(msg, hint=f"the latest are: {known}")
        return Version(
            rows[0][0], rows[0][1], read(self._history, rows[0][2], "a version")
        )
