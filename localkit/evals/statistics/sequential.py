"""Grow a sample until two models are told apart, or are alike as closely as asked.

Each look at the data uses an interval wide enough that all looks together err no
more often than one look at the end would (`spending.py`). `design/018-sequential.md`
says why this and not a confidence sequence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import stats

from localkit.evals.statistics.alike import all_alike
from localkit.evals.statistics.estimates import (
    LEVEL,
    Estimate,
    mcnemar,
    paired_proportions,
    unscored,
)
from localkit.evals.statistics.spending import boundaries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Why = Literal["told apart", "alike within margin", "exhausted", "go on"]

_POWER = 0.8


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a growing sample says."""

    why: Why
    """``exhausted``: the last look, and still neither."""
    difference: Estimate
    """Mean difference so far; the interval holds at every look at once."""
    n_needed: int | None
    """Observations that would settle it, if the truth is what was seen, with a chance
    of 80 %; None when it is settled, or nothing was scored."""

    @property
    def stop(self) -> bool:
        """Whether the sample need not, or cannot, grow."""
        return self.why != "go on"


def plan_looks(largest: int, *, first: int = 8) -> tuple[int, ...]:
    """Return sample sizes to look at: doubling from ``first`` up to ``largest``.

    A last step of less than a third of the sample is joined to the one before.

    Raises:
        ValueError: one of them is less than 2.
    """
    if min(largest, first) < 2:
        raise ValueError(f"a look takes two observations: {first} to {largest}")
    looks = []
    size = first
    while size * 3 <= largest * 2:
        looks.append(size)
        size *= 2
    return (*looks, largest)


def decide_look(
    differences: Sequence[float],
    *,
    look: int,
    looks: Sequence[int],
    precision: float,
    alpha: float = 1 - LEVEL,
) -> Look:
    """Say what the first ``looks[look]`` differences settle.

    ``differences`` holds one number an independent unit, in the order they were
    drawn: an item's difference of scores, a chunk's of mean KL, a group's mean. NaN
    is left out. Of -1, 0 and 1 alone (flips) the interval is Bonett and Price's and a
    difference is called by McNemar's exact test as well; else Student's t, each at
    the level that this look may spend. ``precision`` is the least difference that
    matters. Over all looks, a difference that is not there is called with a
    probability of at most ``alpha``, and so is one of ``precision`` or more called
    alike. Of several comparisons give each its share of alpha.

    Raises:
        ValueError: ``looks`` are not rising, ``look`` is none of them, or
            ``precision`` is not positive.
    """
    if not 0 <= look < len(looks) or not precision > 0:
        raise ValueError(f"look {look} of {len(looks)} to a precision of {precision}")
    z = boundaries(tuple(looks), alpha)
    observed = np.asarray(differences, dtype=np.float64).ravel()
    observed = observed[~np.isnan(observed)]
    if observed.size < 2:
        nothing = unscored("fewer than two differences")
        return Look("exhausted" if look == len(looks) - 1 else "go on", nothing, None)
    # p beyond which this look may call: the boundary's tail, both sides.
    level = 1 - 2 * float(stats.norm.sf(z[look]))
    difference, spread, p_value = _interval(observed, level)
    low, high = difference.low, difference.high
    if (low > 0 or high < 0) and p_value <= 1 - level:
        return Look("told apart", difference, None)
    if -precision < low and high < precision:
        return Look("alike within margin", difference, None)
    # Whichever comes first: zero outside the interval, or the interval in the margin.
    room = max(abs(difference.value), precision - abs(difference.value))
    reach = z[-1] + float(stats.norm.ppf(_POWER))
    needed = max(observed.size + 1, math.ceil((reach * spread / room) ** 2))
    why: Why = "exhausted" if look == len(looks) - 1 else "go on"
    return Look(why, difference, needed)


def _interval(
    observed: NDArray[np.float64], level: float
) -> tuple[Estimate, float, float]:
    """Return the mean's interval, the spread of one observation, and an exact p."""
    n = observed.size
    words = f"{100 * level:.4g} % at this look"
    if np.isin(observed, (-1.0, 0.0, 1.0)).all():
        gained, lost = int((observed > 0).sum()), int((observed < 0).sum())
        estimate = paired_proportions(gained, lost, n, level=level)
        up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
        spread = math.sqrt(up + down - (up - down) ** 2)
        p_value = mcnemar(gained, lost)
        return replace(estimate, method=f"{estimate.method}, {words}"), spread, p_value
    centre, spread = float(observed.mean()), float(observed.std(ddof=1))
    if np.ptp(observed) == 0:
        scale = max(1.0, abs(centre))
        estimate = all_alike(centre, n, -scale, scale, level=level)
        return replace(estimate, method=f"{estimate.method}, {words}"), abs(centre), 0.0
    se = spread / math.sqrt(n)
    reach = se * float(stats.t.ppf((1 + level) / 2, n - 1))
    method = f"paired, t({n - 1}), {words}"
    estimate = Estimate(centre, se, centre - reach, centre + reach, n, method)
    return estimate, spread, 0.0
