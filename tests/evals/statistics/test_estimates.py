from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from localkit.errors import NotComparable
from localkit.evals.statistics.estimates import (
    bootstrap_difference,
    cluster_mean,
    holm,
    items_needed,
    mcnemar,
    mean,
    paired_difference,
    paired_proportions,
    proportion,
    quartiles,
)


def test_cluster_mean_matches_the_formula_written_out() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0, 3.0, 5.0])
    clusters = np.array([0, 0, 1, 1, 2, 2])
    centre = values.mean()
    sums = [(values[clusters == g] - centre).sum() for g in range(3)]
    se = math.sqrt(3 / 2 * sum(s**2 for s in sums)) / 6
    estimate = cluster_mean(values, clusters)
    assert estimate.value == pytest.approx(centre)
    assert estimate.se == pytest.approx(se)
    assert estimate.high - estimate.value == pytest.approx(stats.t.ppf(0.975, 2) * se)
    assert estimate.n == 3


def test_clusters_of_one_observation_give_the_ordinary_t_interval() -> None:
    values = np.random.default_rng(0).normal(size=20)
    estimate = mean(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert estimate.se == pytest.approx(stats.sem(values))
    assert (estimate.low, estimate.high) == pytest.approx((low, high))


def test_one_cluster_gives_a_value_without_an_interval() -> None:
    estimate = cluster_mean([1.0, 2.0], [0, 0])
    assert estimate.value == 1.5
    assert math.isnan(estimate.se)
    assert math.isnan(estimate.high)
    assert "no interval" in estimate.method


def test_E2_unscored_observations_are_left_out_not_zero() -> None:
    assert mean([1.0, math.nan, 3.0]).value == 2.0
    assert mean([1.0, math.nan, 3.0]).n == 2
    nothing = mean([math.nan, math.nan])
    assert math.isnan(nothing.value)
    assert nothing.n == 0
    assert math.isnan(proportion(0, 0).value)


def test_E2_observations_that_do_not_pair_are_refused() -> None:
    with pytest.raises(NotComparable, match="3 observations cannot be paired with 2"):
        paired_difference([1, 2, 3], [1, 2])
    with pytest.raises(NotComparable):
        bootstrap_difference([1, 2, 3], [1, 2])


def test_pairing_removes_what_both_share() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 5, 200)
    a = shared + rng.normal(0.1, 0.1, 200)
    assert paired_difference(a, shared).se < mean(a).se / 20


def test_interval_that_ignores_the_clusters_covers_far_less() -> None:
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(16), 20)
    hits = 0
    for _ in range(1000):
        values = rng.normal(0, 0.7, 16)[clusters] + rng.normal(0, 0.7, 320)
        estimate = mean(values)
        hits += estimate.low <= 0 <= estimate.high
    assert hits / 1000 < 0.6


def test_wilson_interval_agrees_with_what_llama_perplexity_prints() -> None:
    # llama-perplexity --hellaswag, F16, these 100 items: 38.0 % [29.0976, 47.7902].
    estimate = proportion(38, 100)
    assert 100 * estimate.low == pytest.approx(29.0976, abs=5e-5)
    assert 100 * estimate.high == pytest.approx(47.7902, abs=5e-5)


@pytest.mark.parametrize("share", [0.25, 0.4, 0.9])
def test_wilson_interval_covers_95_percent(share: float) -> None:
    covered = 0.0
    for right in range(101):
        estimate = proportion(right, 100)
        if estimate.low <= share <= estimate.high:
            covered += stats.binom.pmf(right, 100, share)
    assert 0.93 <= covered <= 0.97


def test_proportion_stays_inside_0_to_1_at_the_ends() -> None:
    assert proportion(0, 10).low == 0
    assert proportion(10, 10).high == 1
    assert proportion(10, 10).low < 1


def test_no_flips_still_leave_an_interval() -> None:
    estimate = paired_proportions(0, 0, 100)
    assert estimate.value == 0
    assert estimate.low < 0 < estimate.high


def test_mcnemar_is_the_exact_binomial_test() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(6, 0) == pytest.approx(2 / 64)
    assert mcnemar(3, 9) == mcnemar(9, 3)
    assert mcnemar(3, 9) == pytest.approx(stats.binomtest(3, 12).pvalue)


def test_holm_matches_its_worked_example_and_skips_what_was_not_tested() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    adjusted = holm([0.02, math.nan, 0.6])
    assert adjusted[0] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()


def test_holm_holds_the_family_error_under_no_difference() -> None:
    rng = np.random.default_rng(6)
    false_calls = sum(
        min(holm(rng.uniform(size=8).tolist())) < 0.05 for _ in range(2000)
    )
    assert false_calls / 2000 <= 0.065


def test_items_needed_gives_the_power_it_promises() -> None:
    needed = items_needed(6, 16, 200)
    assert needed is not None
    rng = np.random.default_rng(7)
    flips = rng.multinomial(needed, [0.03, 0.08, 0.89], size=1000)
    found = sum(mcnemar(int(up), int(down)) < 0.05 for up, down, _ in flips)
    assert 0.72 <= found / 1000 <= 0.88


def test_items_needed_says_when_no_number_would_do() -> None:
    assert items_needed(5, 5, 100) is None
    assert items_needed(0, 0, 0) is None


def test_bootstrap_agrees_with_t_on_well_behaved_data_and_repeats() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(0.3, 1, 100), rng.normal(0, 1, 100)
    estimate = bootstrap_difference(a, b, n_resamples=2000)
    t = paired_difference(a, b)
    assert estimate.value == pytest.approx(t.value)
    assert estimate.low == pytest.approx(t.low, abs=0.05)
    assert estimate.high == pytest.approx(t.high, abs=0.05)
    assert bootstrap_difference(a, b, n_resamples=2000) == estimate


def test_bootstrap_of_equal_differences_is_the_point() -> None:
    estimate = bootstrap_difference([2, 3, 4], [1, 2, 3])
    assert (estimate.low, estimate.value, estimate.high, estimate.se) == (1, 1, 1, 0)


def test_quartiles_of_timings() -> None:
    assert quartiles([1, 2, 3, 4, 5]) == (3, 2, 4, 5)
    assert quartiles([1, math.nan, 3]).n == 2
    assert math.isnan(quartiles([]).median)


def test_mapping_keeps_the_order_of_the_ends() -> None:
    estimate = mean([1.0, 2.0, 3.0]).mapped(math.exp, math.exp(2))
    assert estimate.low < estimate.value < estimate.high
    assert estimate.value == pytest.approx(math.exp(2))
