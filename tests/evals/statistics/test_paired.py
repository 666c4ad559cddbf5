from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from localkit.errors import NotComparable
from localkit.evals.statistics.estimates import mcnemar, paired_proportions, proportion
from localkit.evals.statistics.paired import compare_scored, summarize_scored
from localkit.evals.statistics.scored import Scored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def scores(
    values: Iterable[float], groups: Sequence[str] | None = None
) -> list[Scored]:
    return [
        Scored(f"s{i}", float(value), group=groups[i] if groups else "")
        for i, value in enumerate(values)
    ]


def test_right_and_wrong_alone_get_the_exact_test_and_the_flips() -> None:
    a = scores([1, 1, 0, 0, 1, 1])
    b = scores([1, 0, 1, 1, 1, 1])
    paired = compare_scored(a, b)
    assert paired.difference == paired_proportions(1, 2, 6)
    assert (paired.n_gained, paired.n_lost) == (1, 2)
    assert paired.p_value == mcnemar(1, 2)
    assert paired.test == "exact McNemar"
    assert paired.flips == ("s2", "s3", "s1")


def test_the_order_of_the_samples_does_not_matter() -> None:
    a, b = scores([1, 1, 0, 0, 1]), scores([1, 0, 1, 1, 1])
    turned = compare_scored(a, b[::-1])
    assert turned == compare_scored(a, b)


def test_a_group_of_one_sample_stands_alone() -> None:
    a, b = [1, 1, 0, 0], [1, 0, 1, 0]
    groups = ["p", "q", "", "r"]
    assert compare_scored(scores(a, groups), scores(b)).test == "exact McNemar"


def test_samples_of_a_group_count_as_one_observation() -> None:
    # Ten copies of three documents tell no more than the three.
    a = [1, 1, 0] * 10
    groups = ["x", "y", "z"] * 10
    paired = compare_scored(scores(a, groups), scores([0] * 30, groups))
    assert paired.difference.n == 3
    assert paired.test == "sign flips of groups"
    assert paired.p_value == 0.5
    assert compare_scored(scores(a), scores([0] * 30)).p_value < 1e-4


def test_graded_scores_get_the_paired_t_interval() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=40), rng.uniform(size=40)
    paired = compare_scored(scores(a), scores(b))
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (paired.difference.low, paired.difference.high) == pytest.approx((low, high))
    assert paired.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)
    assert paired.n_gained + paired.n_lost == 40
    assert (
        paired.difference.method
        == "paired, t(39) over 40 samples; sign flips of samples"
    )


def test_E2_a_sample_unscored_on_either_side_leaves_both_and_is_counted() -> None:
    a = scores([1, math.nan, 0, 1])
    b = scores([1, 1, math.nan, 0])
    paired = compare_scored(a, b)
    assert (paired.n_items, paired.n_unscored) == (2, 2)
    assert paired.difference.value == 0.5
    summary = summarize_scored(a)
    assert (summary.n_items, summary.n_unscored) == (3, 1)
    assert summary.estimate == proportion(2, 3)


def test_E2_nothing_scored_is_nan_not_zero() -> None:
    nothing = compare_scored(scores([math.nan]), scores([1]))
    assert math.isnan(nothing.difference.value)
    assert math.isnan(nothing.p_value)
    assert nothing.n_needed is None
    assert math.isnan(summarize_scored([]).estimate.value)


@pytest.mark.parametrize("other", [["s0"], ["s0", "s2"], ["s0", "s1", "s1"]])
def test_E2_sets_that_do_not_pair_are_refused(other: list[str]) -> None:
    with pytest.raises(NotComparable, match="do not pair"):
        compare_scored(scores([1, 0]), [Scored(id_, 1) for id_ in other])


def test_E2_other_groups_are_refused() -> None:
    with pytest.raises(NotComparable, match="in group 'x' and in 'y'"):
        compare_scored(scores([1], ["x"]), scores([1], ["y"]))


def test_no_difference_at_all_still_leaves_an_interval() -> None:
    same = [0.5, 0.25, 1, 0.75] * 5
    paired = compare_scored(scores(same), scores(same))
    assert paired.p_value == 1
    assert paired.flips == ()
    assert paired.difference.low < 0 < paired.difference.high
    assert paired.difference.high == pytest.approx(1 - 0.05 ** (1 / 20))
    groups = ["x", "y"] * 10
    wide = compare_scored(scores(same, groups), scores(same, groups))
    assert wide.difference.high == pytest.approx(1 - 0.05**0.5)


def test_one_group_has_a_value_but_no_test() -> None:
    paired = compare_scored(scores([1, 1, 0], ["x"] * 3), scores([0, 1, 0], ["x"] * 3))
    assert paired.difference.value == pytest.approx(1 / 3)
    assert math.isnan(paired.p_value)
    assert math.isnan(paired.difference.high)
    assert paired.n_needed is None


def test_the_mean_of_graded_scores_stays_on_its_scale() -> None:
    few = summarize_scored(scores([0.9, 1.0, 0.2]))
    assert few.estimate.high == 1
    assert summarize_scored(scores([0.5] * 4)).estimate.low > 0
    assert math.isnan(summarize_scored(scores([0.5])).estimate.high)
