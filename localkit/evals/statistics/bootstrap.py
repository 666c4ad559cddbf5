"""Intervals by resampling whole clusters, for figures that have no closed form."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from localkit.evals.statistics.estimates import LEVEL, Estimate, unscored

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

N_RESAMPLES = 1_999
_FEW = 64
"""Clusters below which it covers less than it says: `docs/coverage.md`."""


def cluster_bootstrap(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    statistic: Callable[[NDArray[np.float64]], float],
    unit: str = "chunks",
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Estimate ``statistic(values)`` by drawing whole clusters with replacement.

    NaN observations are left out. The interval takes percentiles of the resampled
    statistic, further out than 2.5 and 97.5 % by what Student's t with (clusters - 1)
    degrees of freedom is wider than the normal law. It is for what none of
    `cluster_mean`, `cluster_quantile` and `cluster_jackknife` can do: from few
    clusters they cover better. Source: Hesterberg, Am. Stat. 69 (2015) 371,
    "expanded percentiles".
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    keep = ~np.isnan(x)
    x = x[keep]
    if not x.size:
        return unscored(f"no scored {unit}")
    labels, index = np.unique(np.asarray(clusters).ravel()[keep], return_inverse=True)
    n_clusters = labels.size
    value = float(statistic(x))
    if n_clusters < 2:
        method = f"no interval from one of {unit}"
        return Estimate(value, math.nan, math.nan, math.nan, 1, method)
    members = [x[index == g] for g in range(n_clusters)]
    draws = np.random.default_rng(seed).integers(
        0, n_clusters, size=(n_resamples, n_clusters)
    )
    found = np.array(
        [statistic(np.concatenate([members[g] for g in row])) for row in draws.tolist()]
    )
    t = float(stats.t.ppf((1 + LEVEL) / 2, n_clusters - 1))
    wider = math.sqrt(n_clusters / (n_clusters - 1))
    tail = float(stats.norm.sf(t * wider))
    low, high = np.quantile(found, (tail, 1 - tail)).tolist()
    few = ": few, falls short of 95 %" if n_clusters < _FEW else ""
    return Estimate(
        value=value,
        se=float(found.std(ddof=1)) * wider,
        # Percentiles of the resamples can miss the figure itself.
        low=min(low, value),
        high=max(high, value),
        n=n_clusters,
        method=f"bootstrap of {n_clusters} {unit}, expanded percentiles{few}",
    )
