from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from localkit.evals.statistics.estimates import (
    items_needed,
    mcnemar,
    mean,
    paired_proportions,
)
from localkit.evals.statistics.power import (
    alike_p,
    detectable,
    detectable_graded,
    items_needed_graded,
)


def test_thirty_prompts_show_a_quarter_at_best() -> None:
    least = detectable(30, 0)
    assert least is not None
    assert 0.22 < least < 0.28
    rng = np.random.default_rng(0)
    found = sum(mcnemar(int(up), 0) < 0.05 for up in rng.binomial(30, least, 2000))
    assert 0.7 < found / 2000 < 0.9


def test_detectable_and_items_needed_undo_each_other() -> None:
    least = detectable(200, 0.2)
    assert least is not None
    gained, lost = 1000 * (0.2 + least) / 2, 1000 * (0.2 - least) / 2
    needed = items_needed(round(gained), round(lost), 1000)
    assert needed == pytest.approx(200, rel=0.03)


def test_too_few_items_show_nothing() -> None:
    assert detectable(3, 0) is None
    assert detectable(0, 0.1) is None
    assert detectable_graded(1, 0.2) is None


def test_items_needed_for_graded_scores_give_the_power_they_promise() -> None:
    needed = items_needed_graded(0.3, 0.1)
    assert needed is not None
    x = np.random.default_rng(1).normal(0.1, 0.3, (1000, needed))
    found = (stats.ttest_1samp(x, 0, axis=1).pvalue < 0.05).mean()
    assert 0.76 < found < 0.84
    assert detectable_graded(needed, 0.3) == pytest.approx(0.1, rel=0.03)


def test_no_number_of_items_shows_no_difference() -> None:
    assert items_needed_graded(0.3, 0) is None
    assert items_needed_graded(math.nan, 0.1) is None


def test_alike_is_the_90_percent_interval_inside_the_margin() -> None:
    x = np.random.default_rng(2).normal(0.02, 0.2, 60)
    low, high = stats.ttest_1samp(x, 0).confidence_interval(0.9)
    end = max(abs(low), abs(high))
    assert alike_p(mean(x), end) == pytest.approx(0.05)
    assert alike_p(mean(x), end * 1.2) < 0.05 < alike_p(mean(x), end * 0.8)


def test_no_flip_in_thirty_is_no_proof_of_alike() -> None:
    assert alike_p(paired_proportions(0, 0, 30), 0.05) > 0.05
    assert alike_p(paired_proportions(0, 0, 300), 0.05) < 0.05
    assert math.isnan(alike_p(paired_proportions(0, 0, 0), 0.05))
    assert alike_p(mean([0.1, 0.1]), 0.2) == 0
