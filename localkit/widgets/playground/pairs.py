"""What votes say about two candidates: wins, ties, and whether that is chance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from localkit.evals.statistics.estimates import (
    Estimate,
    holm,
    items_needed,
    mcnemar,
    proportion,
)
from localkit.widgets.playground.draft import params_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.history.votes import Vote

HEADERS = ("A", "B", "A better", "B better", "tie", "neither", "share of A", "verdict")
ALIGN = "<<>>>>><"
ALPHA = 0.05
_ENOUGH_TO_PLAN = 5
"""Votes that decided, below which their share says nothing about more of them."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The votes on two candidates."""

    first: str
    second: str
    n_first: int
    """Votes for the first."""
    n_second: int
    n_tie: int
    n_neither: int
    n_blind: int
    """Votes given without knowing who answered."""
    share: Estimate
    """Of the first among the votes that decided, with Wilson's interval."""
    p_value: float
    """Exact sign test, two-sided, on the votes that decided; Holm over the pairs."""

    @property
    def n(self) -> int:
        """All votes."""
        return self.n_first + self.n_second + self.n_tie + self.n_neither

    @property
    def verdict(self) -> str:
        """What may be said, in words."""
        if not self.n_first + self.n_second:
            return f"n={self.n}: no vote decided"
        if self.p_value < ALPHA:
            better = self.first if self.n_first > self.n_second else self.second
            return f"n={self.n}: {better} is liked better (p={self.p_value:.2g})"
        needed = None
        if self.n_first + self.n_second >= _ENOUGH_TO_PLAN:
            needed = items_needed(self.n_first, self.n_second, self.n)
        more = f"; about {needed} votes would, if this goes on" if needed else ""
        return f"n={self.n}: too few to tell (p={self.p_value:.2g}){more}"

    def cells(self) -> list[str]:
        """Return a row under `HEADERS`."""
        share = "–"
        if self.share.n:
            share = (
                f"{self.share.value:.0%} [{self.share.low:.0%}, {self.share.high:.0%}]"
            )
        counts = (self.n_first, self.n_second, self.n_tie, self.n_neither)
        return [self.first, self.second, *map(str, counts), share, self.verdict]


def pairs(votes: Sequence[Vote]) -> list[Pair]:
    """Return what the votes say, one pair of candidates each, by name."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for vote in votes:
        a, b = label(vote.first), label(vote.second)
        winner = vote.winner
        if a > b:
            a, b = b, a
            turned = {"first": "second", "second": "first"}
            winner = turned.get(winner, winner)  # type: ignore[assignment]
        counted = counts.setdefault((a, b), Counter())
        counted[winner] += 1
        counted["blind"] += vote.blind
    found = [_pair(names, counted) for names, counted in sorted(counts.items())]
    adjusted = holm([one.p_value for one in found])
    return [
        replace(one, p_value=p_value)
        for one, p_value in zip(found, adjusted, strict=True)
    ]


def label(candidate: Mapping[str, Any]) -> str:
    """Return the name of a candidate: its ref, and what was said of how to ask."""
    params = dict(candidate.get("params", {}))
    words = params_words({name: params[name] for name in params if name != "seed"})
    return " · ".join(filter(None, [str(candidate.get("ref", "?")), words]))


def _pair(names: tuple[str, str], counted: Counter[str]) -> Pair:
    wins, losses = counted["first"], counted["second"]
    return Pair(
        *names,
        n_first=wins,
        n_second=losses,
        n_tie=counted["tie"],
        n_neither=counted["neither"],
        n_blind=counted["blind"],
        share=proportion(wins, wins + losses),
        p_value=mcnemar(wins, losses),
    )
