"""Quantiles of correlated observations, with an interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from localkit.evals.statistics.estimates import (
    LEVEL,
    Estimate,
    cluster_mean,
    unscored,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def cluster_quantile(
    values: ArrayLike, clusters: ArrayLike, q: float, *, unit: str = "chunks"
) -> Estimate:
    """Estimate a quantile whose observations are correlated within clusters.

    NaN observations are left out; the quantile interpolates linearly, as numpy's and
    llama-perplexity's do. The interval is Woodruff's: the share at or below the
    quantile is a mean, its cluster-robust error says which other quantiles it may
    be, and those are read off the values. An end is infinite where the observations
    do not reach it: a 99.9th percentile of a thousand tokens has no upper end.
    Source: Woodruff, JASA 47 (1952) 635.

    Raises:
        ValueError: ``q`` is not between 0 and 1.
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile between 0 and 1, not {q}")
    x = np.asarray(values, dtype=np.float64).ravel()
    groups = np.asarray(clusters).ravel()
    keep = ~np.isnan(x)
    x, groups = x[keep], groups[keep]
    if not x.size:
        return unscored(f"no scored {unit}")
    value = float(np.quantile(x, q))
    share = cluster_mean(x <= value, groups, unit=unit)
    if math.isnan(share.se):
        return Estimate(value, math.nan, math.nan, math.nan, 1, share.method)
    t = float(stats.t.ppf((1 + LEVEL) / 2, share.n - 1))
    ranked = np.sort(x)
    low = _at(ranked, q - t * share.se, -math.inf)
    high = _at(ranked, q + t * share.se, math.inf)
    return Estimate(
        value=value,
        se=(high - low) / (2 * t) if math.isfinite(high - low) else math.nan,
        low=min(low, value),
        high=max(high, value),
        n=share.n,
        method=f"Woodruff over {share.n} {unit}, t({share.n - 1})",
    )


def _at(ranked: np.ndarray, share: float, beyond: float) -> float:
    """Return the first value with ``share`` of them at or below it."""
    if not 0 < share < 1:
        return beyond
    return float(ranked[max(0, math.ceil(share * ranked.size) - 1)])
