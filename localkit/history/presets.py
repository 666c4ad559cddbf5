"""Settings under a name, for another day."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError
from localkit.history.bodies import read, written
from localkit.history.names import now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.history.database import History


class Presets:
    """Bodies of JSON by name."""

    def __init__(self, history: History) -> None:
        """Read and write in ``history``."""
        self._history = history

    def save(self, name: str, body: Mapping[str, Any]) -> None:
        """Keep ``body`` under ``name``, in place of what had that name."""
        text = written(body)
        with self._history.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO presets VALUES (?, ?, ?)", (name, text, now())
            )

    def load(self, name: str) -> dict[str, Any]:
        """Return what is kept under ``name``.

        Raises:
            UsageError: nothing is; names the nearest.
        """
        rows = self._history.select("SELECT body FROM presets WHERE name = ?", name)
        if not rows:
            raise self._unknown(name)
        return read(self._history, rows[0][0], f"preset {name}")

    def delete(self, name: str) -> None:
        """Forget ``name``.

        Raises:
            UsageError: there is no such preset.
        """
        with self._history.transaction() as db:
            done = db.execute("DELETE FROM presets WHERE name = ?", (name,))
            n_gone = done.rowcount
        if not n_gone:
            raise self._unknown(name)

    def names(self) -> list[str]:
        """Return the names, in order."""
        rows = self._history.select("SELECT name FROM presets ORDER BY name")
        return [row[0] for row in rows]

    def _unknown(self, name: str) -> UsageError:
        names = self.names()
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
        hint = f"there is {', '.join(near)}" if near else "none is saved yet"
        return UsageError(f"there is no preset '{name}'", hint=hint)
