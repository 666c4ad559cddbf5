from __future__ import annotations

import math

import numpy as np
import pytest

from localkit.evals.statistics.bootstrap import cluster_bootstrap
from localkit.evals.statistics.estimates import cluster_mean
from localkit.evals.statistics.jackknife import cluster_jackknife
from localkit.evals.statistics.positive import positive_cluster_mean
from localkit.evals.statistics.quantiles import cluster_quantile

RNG = np.random.default_rng(0)
CLUSTERS = np.repeat(np.arange(16), 40)
VALUES = RNG.normal(5, 1, 16)[CLUSTERS] + RNG.normal(0, 1, 640)


def average(values: np.ndarray) -> float:
    return float(values.mean())


def test_jackknife_and_bootstrap_of_a_mean_agree_with_its_formula() -> None:
    plain = cluster_mean(VALUES, CLUSTERS)
    jackknife = cluster_jackknife(VALUES, CLUSTERS, statistic=average)
    assert jackknife.se == pytest.approx(plain.se)
    assert (jackknife.low, jackknife.high) == pytest.approx((plain.low, plain.high))
    bootstrap = cluster_bootstrap(VALUES, CLUSTERS, statistic=average)
    assert bootstrap.se == pytest.approx(plain.se, rel=0.05)
    assert bootstrap.low == pytest.approx(plain.low, abs=0.1)
    assert bootstrap == cluster_bootstrap(VALUES, CLUSTERS, statistic=average)
    assert "few" in bootstrap.method


def test_the_interval_of_a_quantile_is_read_off_the_values() -> None:
    median = cluster_quantile(VALUES, CLUSTERS, 0.5)
    assert median.value == np.median(VALUES)
    assert {median.low, median.high} <= set(VALUES.tolist())
    assert median.low < median.value < median.high


def test_a_quantile_beyond_what_was_seen_has_no_upper_end() -> None:
    rare = cluster_quantile(VALUES, CLUSTERS, 0.999)
    assert rare.high == math.inf
    assert math.isnan(rare.se)
    with pytest.raises(ValueError, match="between 0 and 1"):
        cluster_quantile(VALUES, CLUSTERS, 1)


def test_the_interval_of_a_positive_mean_is_longer_above_and_never_negative() -> None:
    few = positive_cluster_mean([0.1, 0.2, 2.0], [0, 1, 2])
    assert few.low > 0
    assert few.high - few.value > few.value - few.low
    assert few.se == cluster_mean([0.1, 0.2, 2.0], [0, 1, 2]).se


def test_a_mean_that_rounding_made_negative_keeps_the_symmetric_interval() -> None:
    values = [-1e-9, -2e-9, 1e-9]
    assert positive_cluster_mean(values, [0, 1, 2]) == cluster_mean(values, [0, 1, 2])


def test_a_positive_statistic_has_a_positive_interval() -> None:
    rms = cluster_jackknife(
        [0.01, 1, 0.1],
        [0, 1, 2],
        statistic=lambda x: math.sqrt(float((x**2).mean())),
        positive=True,
    )
    assert 0 < rms.low < rms.value < rms.high


def test_few_clusters_are_said_to_be_few() -> None:
    assert cluster_mean([1.0, 2.0, 3.0], [0, 1, 2]).method.endswith("few")
    assert not cluster_mean(VALUES, CLUSTERS).method.endswith("few")


@pytest.mark.parametrize(
    "found",
    [
        lambda x, c: cluster_jackknife(x, c, statistic=average),
        lambda x, c: cluster_bootstrap(x, c, statistic=average),
        lambda x, c: cluster_quantile(x, c, 0.5),
        positive_cluster_mean,
    ],
)
def test_E2_one_cluster_has_no_interval_and_none_no_value(found) -> None:  # type: ignore[no-untyped-def]
    one = found([1.0, math.nan, 3.0], [0, 0, 0])
    assert one.value == 2
    assert math.isnan(one.low)
    assert math.isnan(found([math.nan], [0]).value)
