"""Estimates with honest errors: clustered means, proportions, paired tests.

Tokens of one chunk are correlated and two quants answer the same items, so the
errors here are clustered and paired. `design/010-statistics.md` says why,
`docs/coverage.md` how often each interval covers the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import stats

from localkit.errors import NotComparable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
"""Coverage that every interval aims at."""

FEW = 10
"""Clusters below which heavy tails cost coverage: `docs/coverage.md`."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its uncertainty; NaN throughout when nothing was scored."""

    value: float
    se: float
    """Standard error; NaN when there are too few observations to tell."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    n: int
    """Independent observations behind the interval: chunks, items, runs."""
    method: str
    """How the interval was made, in words."""

    def mapped(self, function: Callable[[float], float], slope: float) -> Estimate:
        """Return the estimate of an increasing function of the figure.

        The interval is mapped end by end; the error by the delta method, with
        ``slope`` the derivative at ``value``.
        """
        return Estimate(
            value=function(self.value),
            se=abs(slope) * self.se,
            low=function(self.low),
            high=function(self.high),
            n=self.n,
            method=self.method,
        )


class Quartiles(NamedTuple):
    """The middle half of repeated timings."""

    median: float
    low: float
    """First quartile."""
    high: float
    """Third quartile."""
    n: int


def unscored(method: str) -> Estimate:
    """Return the estimate of something that has no scored observation."""
    return Estimate(math.nan, math.nan, math.nan, math.nan, 0, method)


def exp(value: float) -> float:
    """Return e to a power; infinite where float64 ends."""
    return math.inf if value > 709 else math.exp(value)


def scored(values: ArrayLike) -> NDArray[np.float64]:
    """Return the values that are numbers; NaN means unscored."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[~np.isnan(array)]


def mean(values: ArrayLike) -> Estimate:
    """Estimate a mean of independent observations, with Student's t."""
    observed = scored(values)
    return cluster_mean(observed, np.arange(observed.size), unit="observations")


def cluster_mean(
    values: ArrayLike, clusters: ArrayLike, *, unit: str = "chunks"
) -> Estimate:
    """Estimate a mean whose observations are correlated within clusters.

    NaN observations are left out. The standard error is the cluster-robust CR1
    with G clusters, ``sqrt(G/(G-1) · Σ_g (Σ_{i∈g} (x_i - mean))²) / n``, and the
    interval uses t with G - 1 degrees of freedom. Source: Cameron and Miller,
    "A Practitioner's Guide to Cluster-Robust Inference", J. Human Resources 50
    (2015), §II.B and §VI.B, for a regression on a constant.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    groups = np.asarray(clusters).ravel()
    keep = ~np.isnan(x)
    x, groups = x[keep], groups[keep]
    if not x.size:
        return unscored(f"no scored {unit}")
    centre = float(x.mean())
    labels, index = np.unique(groups, return_inverse=True)
    n_clusters = labels.size
    if n_clusters < 2:
        method = f"no interval from one of {unit}"
        return Estimate(centre, math.nan, math.nan, math.nan, 1, method)
    sums = np.bincount(index, weights=x - centre, minlength=n_clusters)
    scale = n_clusters / (n_clusters - 1)
    se = math.sqrt(scale * float(np.square(sums).sum())) / x.size
    reach = se * float(stats.t.ppf((1 + LEVEL) / 2, n_clusters - 1))
    few = ", few" if n_clusters < FEW else ""
    method = f"cluster-robust (CR1) over {n_clusters} {unit}, t({n_clusters - 1}){few}"
    return Estimate(centre, se, centre - reach, centre + reach, n_clusters, method)


def paired_difference(
    a: ArrayLike, b: ArrayLike, clusters: ArrayLike | None = None
) -> Estimate:
    """Estimate mean(a - b) over the same observations.

    An observation that is unscored on either side is left out of both.

    Raises:
        NotComparable: the two have different lengths.
    """
    left = np.asarray(a, dtype=np.float64).ravel()
    right = np.asarray(b, dtype=np.float64).ravel()
    if left.size != right.size:
        msg = f"{left.size} observations cannot be paired with {right.size}"
        raise NotComparable(msg, hint="measure both on the same items")
    if clusters is None:
        return mean(left - right)
    return cluster_mean(left - right, clusters)


def proportion(successes: int, n: int) -> Estimate:
    """Estimate a share of independent trials, with Wilson's interval.

    Source: Wilson, JASA 22 (1927) 209; what llama-perplexity prints for
    HellaSwag. The standard error is sqrt(p(1-p)/n).
    """
    if n == 0:
        return unscored("no scored items")
    share = successes / n
    ends = stats.binomtest(successes, n).proportion_ci(LEVEL, method="wilson")
    se = math.sqrt(share * (1 - share) / n)
    return Estimate(share, se, float(ends.low), float(ends.high), n, "Wilson")


def paired_proportions(
    gained: int, lost: int, n: int, *, level: float = LEVEL
) -> Estimate:
    """Estimate the difference of two shares over the same ``n`` items.

    ``gained`` items are right only in the first, ``lost`` only in the second.
    The interval is Bonett and Price's adjusted Wald, which keeps its coverage
    with few flips. Source: Bonett and Price, J. Educ. Behav. Stat. 37 (2012)
    479; recommended by Fagerland, Lydersen and Laake, Stat. Med. 33 (2014) 2850.
    """
    if n == 0:
        return unscored("no items scored on both sides")
    up, down = gained / n, lost / n
    se = math.sqrt(max(0.0, up + down - (up - down) ** 2) / n)
    up_adjusted, down_adjusted = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    centre = up_adjusted - down_adjusted
    spread = math.sqrt((up_adjusted + down_adjusted - centre**2) / (n + 2))
    reach = float(stats.norm.ppf((1 + level) / 2)) * spread
    return Estimate(
        value=up - down,
        se=se,
        low=max(-1.0, centre - reach),
        high=min(1.0, centre + reach),
        n=n,
        method="paired, Bonett-Price",
    )


def mcnemar(gained: int, lost: int) -> float:
    """Return the two-sided p of McNemar's exact test; 1 when nothing flipped.

    Under no difference, ``gained`` of the ``gained + lost`` flips is binomial
    with probability one half. Source: McNemar, Psychometrika 12 (1947) 153.
    """
    flips = gained + lost
    return float(stats.binomtest(gained, flips, 0.5).pvalue) if flips else 1.0


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values for their number; NaN (no test) stays NaN and is not counted.

    Source: Holm, Scand. J. Stat. 6 (1979) 65.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.size, math.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return tuple(adjusted.tolist())


def items_needed(
    gained: int, lost: int, n: int, *, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Return how many items would tell a difference of this size apart.

    Takes the observed shares of flips as the truth. None when as many flipped
    one way as the other: no number of items would do. Source: Connor,
    Biometrics 43 (1987) 207, for McNemar's test.
    """
    if n == 0 or gained == lost:
        return None
    discordant = (gained + lost) / n
    difference = abs(gained - lost) / n
    z_alpha = float(stats.norm.ppf(1 - alpha / 2))
    z_power = float(stats.norm.ppf(power))
    spread = z_alpha * math.sqrt(discordant) + z_power * math.sqrt(
        max(0.0, discordant - difference**2)
    )
    return math.ceil((spread / difference) ** 2)


def bootstrap_difference(
    a: ArrayLike,
    b: ArrayLike,
    *,
    statistic: Callable[..., object] = np.mean,
    n_resamples: int = 9999,
    seed: int = 0,
) -> Estimate:
    """Estimate ``statistic(a - b)`` by resampling the pairs (BCa interval).

    ``statistic`` takes an array and ``axis``. Equal differences leave BCa
    undefined; their interval is the point itself. Source: Efron, JASA 82 (1987)
    171, as `scipy.stats.bootstrap`.

    Raises:
        NotComparable: the two have different lengths.
    """
    left = np.asarray(a, dtype=np.float64).ravel()
    right = np.asarray(b, dtype=np.float64).ravel()
    if left.size != right.size:
        msg = f"{left.size} observations cannot be paired with {right.size}"
        raise NotComparable(msg, hint="measure both on the same items")
    differences = scored(left - right)
    n = differences.size
    method = f"paired bootstrap (BCa, {n_resamples} resamples, seed {seed})"
    if n < 2:
        return unscored(method)
    value = float(np.asarray(statistic(differences, axis=0)))
    if np.ptp(differences) == 0:
        return Estimate(value, 0.0, value, value, n, method)
    result = stats.bootstrap(
        (differences,),
        statistic,
        n_resamples=n_resamples,
        confidence_level=LEVEL,
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    ends = result.confidence_interval
    se = float(result.standard_error)
    return Estimate(value, se, float(ends.low), float(ends.high), n, method)


def quartiles(samples: Sequence[float]) -> Quartiles:
    """Return the median of timings and the quartiles around it; NaN left out."""
    observed = scored(samples)
    if not observed.size:
        return Quartiles(math.nan, math.nan, math.nan, 0)
    low, median, high = np.quantile(observed, (0.25, 0.5, 0.75)).tolist()
    return Quartiles(median, low, high, observed.size)
