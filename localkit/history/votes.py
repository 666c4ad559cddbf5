"""Which of two answers a person liked better."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from localkit.history.bodies import read, written
from localkit.history.names import now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.history.database import History

Winner = Literal["first", "second", "tie", "neither"]


@dataclass(frozen=True, slots=True)
class Vote:
    """Two answers to one prompt, and which was better."""

    prompt: str
    first: Mapping[str, Any]
    """Who answered, as JSON: ref, quant, digest, params."""
    second: Mapping[str, Any]
    first_answer: str
    second_answer: str
    winner: Winner
    blind: bool
    """Whether the voter did not know who answered."""
    made: str = ""
    """ISO 8601, UTC."""


class Votes:
    """The votes of a history; those of one playground where a name is given."""

    def __init__(self, history: History, playground: str | None = None) -> None:
        """Read and write in ``history``."""
        self._history = history
        self._playground = playground

    def add(self, votes: Sequence[Vote]) -> list[Vote]:
        """Store votes, all of them or none, and return them with their time."""
        stored = [replace(vote, made=now()) for vote in votes]
        with self._history.transaction() as db:
            db.executemany(
                "INSERT INTO votes VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        vote.made,
                        vote.prompt,
                        written(vote.first),
                        written(vote.second),
                        vote.first_answer,
                        vote.second_answer,
                        vote.winner,
                        int(vote.blind),
                    )
                    for vote in stored
                ],
            )
        return stored

    def all(self) -> list[Vote]:
        """Return the votes, the oldest first."""
        rows = self._history.select(
            "SELECT made, prompt, first, second, first_answer, second_answer, winner,"
            " blind FROM votes"
            " WHERE ?1 = '' OR json_extract(first, '$.playground') = ?1 ORDER BY id",
            self._playground or "",
        )
        return [
            Vote(
                prompt,
                read(self._history, first, "a vote"),
                read(self._history, second, "a vote"),
                first_answer,
                second_answer,
                winner,
                bool(blind),
                made,
            )
            for (
                made,
                prompt,
                first,
                second,
                first_answer,
                second_answer,
                winner,
                blind,
            ) in rows
        ]
