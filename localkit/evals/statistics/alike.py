"""What a sample leaves open when everything in it came out the same."""

from __future__ import annotations

import math

from localkit.evals.statistics.estimates import LEVEL, Estimate


def all_alike(
    value: float, n: int, lowest: float, highest: float, *, level: float = LEVEL
) -> Estimate:
    """Return the estimate of a mean when all ``n`` observations are ``value``.

    Their spread is zero and says nothing. What ``n`` alike leave open is a share of
    ``1 - (1 - level)**(1/n)`` that is not (Clopper and Pearson, Biometrika 26 (1934)
    404, at zero of n), at worst at an end of the scale.
    """
    if n < 2:
        return Estimate(value, math.nan, math.nan, math.nan, n, "no interval from one")
    other = 1 - (1 - level) ** (1 / n)
    return Estimate(
        value=value,
        se=0.0,
        low=value - other * (value - lowest),
        high=value + other * (highest - value),
        n=n,
        method=f"all {n} alike: at most {100 * other:.2g} % others",
    )
