from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from localkit.evals.statistics.permutation import sign_flip_p


def test_few_differences_are_gone_through_exactly() -> None:
    assert sign_flip_p([1, 2, 3]) == 2 / 8
    assert sign_flip_p([3, -2]) == 1
    assert sign_flip_p([1, 0, 0, 2, 3]) == 2 / 8


def test_flips_of_one_size_are_mcnemar() -> None:
    ones = [1.0] * 9 + [-1.0] * 3
    assert sign_flip_p(ones) == pytest.approx(stats.binomtest(3, 12).pvalue)


def test_sums_equal_on_paper_count_as_equal() -> None:
    assert sign_flip_p([0.1, 0.2, 0.3, -0.6]) == 1


def test_random_patterns_and_the_normal_law_agree_where_they_meet() -> None:
    x = np.random.default_rng(0).normal(0.05, 1, 1000)
    assert sign_flip_p(x) == pytest.approx(sign_flip_p(np.append(x, 1e-9)), abs=0.02)


def test_a_p_value_is_never_zero_and_repeats() -> None:
    x = np.linspace(1, 2, 100)
    assert sign_flip_p(x) == 1 / 10_000
    assert sign_flip_p(x) == sign_flip_p(x)


def test_nothing_to_flip() -> None:
    assert math.isnan(sign_flip_p([]))
    assert math.isnan(sign_flip_p([math.nan]))
    assert sign_flip_p([0, 0]) == 1
