"""How much faster one is than another: by repetition, since these run in turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from localkit.evals.report.figures import listing
from localkit.evals.statistics.estimates import exp, paired_difference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.evals.comparing.row import Spread
    from localkit.evals.statistics.estimates import Estimate

UNCERTAIN = 0.05
"""A ratio is called uncertain when its interval reaches further than this from it."""


def ratio(value: Spread, reference: Spread) -> Estimate:
    """Return the rate as a multiple of the reference's, with its 95 % interval.

    The n-th repetitions of both met the same machine, so the geometric mean of
    their ratios stands where the machine's speed drifts; the interval is Student's
    t over the logarithms.

    Raises:
        NotComparable: the two have different numbers of repetitions.
    """
    found = paired_difference(np.log(value.samples), np.log(reference.samples))
    return found.mapped(exp, exp(found.value))


def uncertainty(found: Estimate) -> str:
    """Return how uncertain a ratio is, where that is much; empty where it is not.

    One that is not called uncertain lies within `UNCERTAIN` of the truth, as far
    as 95 % intervals go: the same model twice gives 0.95 to 1.05, or a word.
    """
    reach = max(found.high - found.value, found.value - found.low) / found.value
    if reach > 1:
        return "ratio unknown"
    return f"ratio uncertain by {100 * reach:.0f} %" if reach > UNCERTAIN else ""


class Best(NamedTuple):
    """Which of several settings is fastest, and which are not told from it."""

    name: str
    fastest: Spread
    keeping_up: tuple[str, ...]
    """Others whose repetitions do not show them to be slower, in the order given."""
    slower: tuple[tuple[str, Estimate], ...]
    """The rest, with their ratio to the fastest."""

    def __str__(self) -> str:
        """Say it in a sentence."""
        words = [f"{self.name} is fastest in the median"]
        if self.keeping_up:
            words.append(f"{listing(list(self.keeping_up))} not shown to be slower")
        words += [
            f"{name} slower, {found.value:.2f} times as fast "
            f"({found.low:.2f} to {found.high:.2f})"
            for name, found in self.slower
        ]
        return "; ".join(words)


def best(points: Mapping[str, Spread]) -> Best:
    """Return the fastest of ``points`` by median, and whether the lead is real.

    Repetitions of all points must have run in turn; see `Spread.keeps_up_with`.
    """
    name = max(points, key=lambda point: points[point].median)
    others = [point for point in points if point != name]
    keeping_up = [p for p in others if points[p].keeps_up_with(points[name])]
    return Best(
        name,
        points[name],
        tuple(keeping_up),
        tuple(
            (point, ratio(points[point], points[name]))
            for point in others
            if point not in keeping_up
        ),
    )
