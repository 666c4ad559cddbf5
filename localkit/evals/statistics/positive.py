"""Means of what cannot be negative: KL divergence, times, sizes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from localkit.evals.statistics.estimates import Estimate, cluster_mean, exp

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def positive_cluster_mean(
    values: ArrayLike, clusters: ArrayLike, *, unit: str = "chunks"
) -> Estimate:
    """Estimate a positive mean; the interval of its logarithm, mapped back.

    Value and error are those of `cluster_mean`. The interval is ``mean · exp(± t · se
    / mean)``: the mean of a heavy tail is too low more often than too high, and an
    interval that is longer above misses it less. Simulated, tails so heavy that few
    chunks carry the mean, 4 chunks: 92 % where the symmetric one covers 86; where
    tails are light the two agree (`docs/coverage.md`). A mean that is not positive,
    as rounding makes of two equal models, keeps the symmetric interval.
    """
    plain = cluster_mean(values, clusters, unit=unit)
    if math.isnan(plain.se) or plain.value <= 0:
        return plain
    ratio = exp((plain.high - plain.value) / plain.value)
    return replace(
        plain,
        low=plain.value / ratio,
        high=plain.value * ratio,
        method=f"{plain.method}, of the logarithm",
    )
