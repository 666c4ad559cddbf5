"""Intervals of lm-eval's metrics, from the samples that it logs.

lm-eval has standard errors for means, a bootstrap in forked processes for some other
metrics, and none for perplexities. Forking beside a loaded engine is refused here
(`runtime.isolation.forks`), and a share of few items wants Wilson's interval.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from localkit.evals.statistics.estimates import (
    LEVEL,
    Estimate,
    exp,
    mean,
    proportion,
    unscored,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Aggregation = Callable[[Sequence[Any]], float]

_N_RESAMPLES = 1000
_N_RESAMPLES_OF_CORPUS = 100
"""Of metrics over whole corpora, which take seconds each; as many as in lm-eval."""
_CORPUS = ("bleu", "chrf", "chrfpp", "ter")


def estimate(values: Sequence[Any], aggregation: Aggregation) -> Estimate:
    """Return a metric over the samples' values, with its 95 % interval.

    Samples count as independent. Shares get Wilson's interval, other means Student's
    t, perplexities and bits per byte t on the log scale with the error of a ratio
    (a text's log-likelihood against its words or bytes), everything else a percentile
    bootstrap of the samples.

    Args:
        values: What the metric has of each sample: a number, or a pair.
        aggregation: lm-eval's function from the values to the metric.
    """
    name = getattr(aggregation, "__name__", "")
    if not values:
        return unscored("no samples")
    match name:
        case "mean" | "nanmean":
            return _mean(np.asarray(values, dtype=np.float64))
        case "perplexity":
            return _exponential(mean(-np.asarray(values, dtype=np.float64)))
        case "weighted_perplexity":
            return _exponential(_ratio(values))
        case "bits_per_byte":
            nats = _ratio(values)
            return nats.mapped(lambda value: value / math.log(2), 1 / math.log(2))
        case _:
            return _bootstrapped(values, aggregation, corpus=name in _CORPUS)


def _mean(values: NDArray[np.float64]) -> Estimate:
    observed = values[~np.isnan(values)]
    plain = mean(observed)
    if observed.size and np.isin(observed, (0, 1)).all():
        share = proportion(int(observed.sum()), observed.size)
        # lm-eval divides by n - 1: its records keep their meaning.
        return dataclasses.replace(share, se=plain.se)
    return plain


def _ratio(pairs: Sequence[tuple[float, float]]) -> Estimate:
    """Estimate -Σ log-likelihood / Σ weight, linearised around itself."""
    logprobs, weights = np.asarray(pairs, dtype=np.float64).T
    ratio = -logprobs.sum() / weights.sum()
    residuals = (-logprobs - ratio * weights) / weights.mean()
    return mean(ratio + residuals)


def _exponential(nats: Estimate) -> Estimate:
    return nats.mapped(exp, exp(nats.value))


def _bootstrapped(
    values: Sequence[Any], aggregation: Aggregation, *, corpus: bool
) -> Estimate:
    """Estimate anything by resampling the samples, with a fixed seed."""
    n_resamples = _N_RESAMPLES_OF_CORPUS if corpus else _N_RESAMPLES
    n = len(values)
    value = float(aggregation(values))
    if n < 2:
        return Estimate(value, math.nan, math.nan, math.nan, n, "no interval from one")
    random = np.random.default_rng(0)
    drawn = np.empty(n_resamples)
    with np.errstate(all="ignore"):  # a resample may hold one class only
        for index in range(n_resamples):
            places = random.integers(0, n, n)
            drawn[index] = aggregation([values[place] for place in places])
    drawn = drawn[~np.isnan(drawn)]
    method = f"percentile bootstrap ({n_resamples} resamples, seed 0)"
    if drawn.size < n_resamples / 2:
        return Estimate(value, math.nan, math.nan, math.nan, n, f"undefined: {method}")
    low, high = stats.scoreatpercentile(drawn, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Estimate(value, float(drawn.std(ddof=1)), float(low), float(high), n, method)
