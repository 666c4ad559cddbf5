"""What a person thought of single answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from localkit.history.bodies import read, written
from localkit.history.names import now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.history.database import History


@dataclass(frozen=True, slots=True)
class Rating:
    """One answer, and what somebody thought of it."""

    prompt: str
    """What the user said, variables filled in."""
    candidate: Mapping[str, Any]
    """Who answered, as JSON: ref, quant, digest, params, and how it was asked."""
    answer: str
    score: int
    """-1 or 1, or 1 to 5."""
    comment: str = ""
    made: str = ""
    """ISO 8601, UTC."""
    id: int = 0


class Ratings:
    """The ratings of a history; those of one playground where a name is given."""

    def __init__(self, history: History, playground: str | None = None) -> None:
        """Read and write in ``history``."""
        self._history = history
        self._playground = playground

    def put(self, rating: Rating) -> Rating:
        """Store a rating and return it with its id; one with an id is replaced."""
        stored = replace(rating, made=now())
        candidate = written(stored.candidate)
        row = (
            stored.made,
            stored.prompt,
            candidate,
            stored.answer,
            stored.score,
            stored.comment,
        )
        with self._history.transaction() as db:
            done = db.execute(
                "INSERT OR REPLACE INTO ratings VALUES (?, ?, ?, ?, ?, ?, ?)",
                (stored.id or None, *row),
            )
            return replace(stored, id=done.lastrowid or stored.id)

    def forget(self, id: int) -> None:
        """Take a rating back."""
        with self._history.transaction() as db:
            db.execute("DELETE FROM ratings WHERE id = ?", (id,))

    def all(self) -> list[Rating]:
        """Return the ratings, the oldest first."""
        rows = self._history.select(
            "SELECT id, made, prompt, candidate, answer, score, comment FROM ratings"
            " WHERE ?1 = '' OR json_extract(candidate, '$.playground') = ?1"
            " ORDER BY id",
            self._playground or "",
        )
        return [
            Rating(
                prompt,
                read(self._history, candidate, "a rating"),
                answer,
                score,
                comment,
                made,
                id,
            )
            for id, made, prompt, candidate, answer, score, comment in rows
        ]
