"""One run: a prompt that went to several columns, and the vote on their answers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from localkit.errors import UsageError
from localkit.history.votes import Vote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.history.votes import Winner
    from localkit.widgets.playground.turns import Column, Turn

Verdict = int | Literal["tie", "neither"]
"""Number of the best answer, from 0 as they are shown; or none was better."""


@dataclass(eq=False)
class Round:
    """The turns of one run, in the order in which they are shown."""

    turns: Sequence[tuple[Column, Turn]]
    blind: bool = False
    """Whether nobody is told who answers until there is a vote."""
    verdict: Verdict | None = None
    stored: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether every answer is there, or will not come."""
        return all(turn.answer.has_ended for _, turn in self.turns)

    @property
    def hides(self) -> bool:
        """Whether names are kept back: until a vote, or until there can be none."""
        unsettled = not self.has_ended or self.is_open
        return self.blind and self.verdict is None and unsettled

    @property
    def is_open(self) -> bool:
        """Whether it can be voted on: at least two whole answers, no vote yet."""
        whole = [turn for _, turn in self.turns if turn.answer.phase == "done"]
        return self.verdict is None and len(whole) > 1 and len(whole) == len(self.turns)

    def vote(self, verdict: Verdict) -> list[Vote]:
        """Take a verdict and return it as votes on pairs.

        The best answer wins against each of the others; a tie, or neither, is one
        for every pair.

        Raises:
            UsageError: it was voted on, an answer is missing, or there is none of
                that number.
        """
        if not self.is_open:
            why = "was voted on" if self.verdict is not None else "is not whole"
            msg = f"the vote does not count: this run {why}"
            raise UsageError(
                msg, hint="run again; two answers must have ended by themselves"
            )
        n = len(self.turns)
        if isinstance(verdict, int) and not 0 <= verdict < n:
            msg = f"there is no answer {verdict} among {n}"
            raise UsageError(msg, hint=f"say 0 to {n - 1}, tie or neither")
        votes = [
            self._pair(a, b, verdict)
            for a, b in combinations(range(n), 2)
            if not isinstance(verdict, int) or verdict in (a, b)
        ]
        self.verdict = verdict
        return votes

    def _pair(self, a: int, b: int, verdict: Verdict) -> Vote:
        winner: Winner
        if isinstance(verdict, int):
            winner = "first" if verdict == a else "second"
        else:
            winner = verdict
        (_, first), (_, second) = self.turns[a], self.turns[b]
        return Vote(
            prompt=first.said,
            first=first.answer.candidate,
            second=second.answer.candidate,
            first_answer=first.answer.text,
            second_answer=second.answer.text,
            winner=winner,
            blind=self.blind,
        )
