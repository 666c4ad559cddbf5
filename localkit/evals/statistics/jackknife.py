"""Intervals by leaving out one cluster at a time, for smooth figures of a mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from localkit.evals.statistics.estimates import FEW, LEVEL, Estimate, exp, unscored

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray


def cluster_jackknife(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    statistic: Callable[[NDArray[np.float64]], float],
    positive: bool = False,
    unit: str = "chunks",
) -> Estimate:
    """Estimate ``statistic(values)``: an RMS, a ratio, a variance; not a quantile.

    NaN observations are left out. The error is the jackknife's over G clusters,
    ``sqrt((G-1)/G · Σ_g (θ_(g) - mean)²)``, and the interval takes t with G - 1
    degrees of freedom; ``positive`` takes it of the logarithm. From few clusters it
    covers better than `cluster_bootstrap`. Source: Efron and Stein, Ann. Stat. 9
    (1981) 586; Cameron and Miller, J. Human Resources 50 (2015), §VI.B, for clusters.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    keep = ~np.isnan(x)
    x = x[keep]
    if not x.size:
        return unscored(f"no scored {unit}")
    labels, index = np.unique(np.asarray(clusters).ravel()[keep], return_inverse=True)
    n = labels.size
    value = float(statistic(x))
    if n < 2:
        method = f"no interval from one of {unit}"
        return Estimate(value, math.nan, math.nan, math.nan, 1, method)
    without = np.array([statistic(x[index != g]) for g in range(n)])
    se = math.sqrt((n - 1) / n * float(np.square(without - without.mean()).sum()))
    reach = se * float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
    low, high = value - reach, value + reach
    few = ", few" if n < FEW else ""
    method = f"jackknife over {n} {unit}, t({n - 1}){few}"
    if positive and value > 0:
        ratio = exp(reach / value)
        low, high, method = value / ratio, value * ratio, f"{method}, of the logarithm"
    return Estimate(value, se, low, high, n, method)
