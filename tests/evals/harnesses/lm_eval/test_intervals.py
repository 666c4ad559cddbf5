from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.evals.harnesses.lm_eval.intervals import estimate
from localkit.evals.statistics.estimates import proportion

if TYPE_CHECKING:
    from collections.abc import Sequence


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def weighted_perplexity(pairs: Sequence[tuple[float, float]]) -> float:
    logprobs, weights = zip(*pairs, strict=True)
    return math.exp(-sum(logprobs) / sum(weights))


def median(values: Sequence[float]) -> float:
    return float(np.median(values))


def test_a_share_has_wilsons_interval_and_lm_evals_standard_error() -> None:
    found = estimate([1.0, 0.0, 1.0, 1.0], mean)
    wilson = proportion(3, 4)
    assert (found.value, found.low, found.high) == (0.75, wilson.low, wilson.high)
    # sample_stddev / sqrt(n), lm_eval/api/metrics.py.
    assert found.se == pytest.approx(0.25)


def test_the_interval_of_a_perplexity_is_around_lm_evals_value_and_covers() -> None:
    random = np.random.default_rng(1)
    n_covered = 0
    for _ in range(200):
        words = random.integers(50, 150, 40)
        # Documents differ; the truth is 4 nats a word.
        nats = words * random.normal(4.0, 0.5, 40)
        pairs = list(zip(-nats, words, strict=True))
        found = estimate(pairs, weighted_perplexity)
        assert found.value == pytest.approx(weighted_perplexity(pairs))
        assert 0 < found.low < found.value < found.high
        n_covered += found.low <= math.exp(4.0) <= found.high
    # 95 % of 200, three standard errors either way.
    assert 180 <= n_covered <= 199


def test_other_metrics_are_resampled_with_a_fixed_seed() -> None:
    values = list(np.random.default_rng(2).normal(size=80))
    found = estimate(values, median)
    assert found == estimate(values, median)
    assert found.low < median(values) < found.high
    assert "bootstrap" in found.method


def test_values_that_are_no_number_are_left_out_of_a_mean() -> None:
    assert estimate([1.5, math.nan, 2.5], mean).value == 2.0


def test_nothing_scored_is_unscored() -> None:
    assert math.isnan(estimate([], mean).value)
