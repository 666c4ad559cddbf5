"""Boundaries for looking at data more than once without more false alarms."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, stats

if TYPE_CHECKING:
    from collections.abc import Callable

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)
_FAR = 8.0
"""Standard deviations beyond which nothing is left to integrate."""


def in_proportion(information: float, alpha: float) -> float:
    """Return the error spent when a share ``information`` of the sample is in.

    Source: Kim and DeMets, Biometrika 74 (1987) 149, power 1.
    """
    return alpha * min(1.0, information)


def late(information: float, alpha: float) -> float:
    """Return the error spent in the manner of O'Brien and Fleming, two-sided.

    Source: Lan and DeMets, Biometrika 70 (1983) 659.
    """
    if information <= 0:
        return 0.0
    z = float(stats.norm.isf(alpha / 4))
    return float(4 * stats.norm.sf(z / math.sqrt(min(1.0, information))))


@lru_cache(maxsize=256)
def boundaries(
    looks: tuple[int, ...],
    alpha: float = 0.05,
    spending: Callable[[float, float], float] = in_proportion,
) -> tuple[float, ...]:
    """Return for each look the z beyond which it may call a difference.

    ``looks`` are sample sizes, rising; the last is the largest planned. Over all
    looks together a difference that is not there is called with probability
    ``alpha``. The sums at the looks are normal with independent increments, and the
    boundary is solved look by look on the density of the paths still inside:
    Armitage, McPherson and Rowe, J. R. Stat. Soc. A 132 (1969) 235. Infinite where a
    look has next to nothing to spend.

    Raises:
        ValueError: ``looks`` are not positive and rising.
    """
    if not looks or looks[0] < 1 or list(looks) != sorted(set(looks)):
        raise ValueError(f"looks have to be positive and rising: {looks}")
    found: list[float] = []
    spent = 0.0
    points, density = np.zeros(1), np.ones(1)
    times = np.array(looks) / looks[-1]
    for time, step in zip(times, np.diff(times, prepend=0.0), strict=True):
        now = max(spending(float(time), alpha) - spent, 0.0)
        spread, end = math.sqrt(step), _FAR * math.sqrt(time)

        def crossed(
            bound: float,
            points: np.ndarray = points,
            density: np.ndarray = density,
            spread: float = spread,
        ) -> float:
            above = stats.norm.sf((bound - points) / spread)
            below = stats.norm.cdf((-bound - points) / spread)
            return float(density @ (above + below))

        if now < 1e-13 or crossed(end) > now:
            found.append(math.inf)
            bound = end
        else:
            bound = optimize.brentq(lambda x: crossed(x) - now, 0, end, xtol=1e-10)  # noqa: B023
            found.append(bound / math.sqrt(time))
            spent += now
        nodes = bound * _NODES
        between = stats.norm.pdf((nodes[:, None] - points) / spread) / spread
        # Weights are folded into the density: a sum over it is an integral.
        density = (between @ density) * bound * _WEIGHTS
        points = nodes
    return tuple(found)
