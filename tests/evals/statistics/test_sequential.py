from __future__ import annotations

import math

import numpy as np
import pytest

from localkit.evals.statistics.sequential import decide_look, plan_looks
from localkit.evals.statistics.spending import boundaries, late

LOOKS = (8, 16, 32, 64)


def test_boundaries_are_the_published_ones() -> None:
    # Five equal looks at 5 %, two-sided: Lan and DeMets, O'Brien-Fleming type, as in
    # Jennison and Turnbull (2000) and the R package ldbounds.
    assert boundaries((1, 2, 3, 4, 5), 0.05, late) == pytest.approx(
        (4.8769, 3.3569, 2.6803, 2.2898, 2.0310), abs=2e-3
    )
    assert boundaries((30,)) == pytest.approx((1.95996,), abs=1e-4)


def test_all_looks_together_spend_alpha() -> None:
    bounds = np.array(boundaries(LOOKS))
    steps = np.random.default_rng(0).normal(size=(200_000, 64)).cumsum(axis=1)
    sizes = np.array(LOOKS)
    z = np.abs(steps[:, sizes - 1]) / np.sqrt(sizes)
    assert (z > bounds).any(axis=1).mean() == pytest.approx(0.05, abs=0.002)


def test_a_look_with_nothing_to_spend_calls_nothing() -> None:
    assert boundaries((4, 1000), 0.05, late)[0] == math.inf


@pytest.mark.parametrize("looks", [(), (0, 4), (8, 4), (4, 4)])
def test_looks_that_do_not_rise_are_refused(looks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="positive and rising"):
        boundaries(looks)


def test_looks_double_up_to_the_largest() -> None:
    assert plan_looks(64) == (8, 16, 32, 64)
    assert plan_looks(100) == (8, 16, 32, 64, 100)
    assert plan_looks(70) == (8, 16, 32, 70)
    assert plan_looks(5) == (5,)
    with pytest.raises(ValueError, match="two observations"):
        plan_looks(1)


def test_a_plain_difference_is_told_apart_at_the_first_look() -> None:
    x = np.random.default_rng(1).normal(1, 0.1, 8)
    seen = decide_look(x.tolist(), look=0, looks=LOOKS, precision=0.1)
    assert (seen.why, seen.stop, seen.n_needed) == ("told apart", True, None)
    assert seen.difference.low > 0


def test_what_differs_by_less_than_the_margin_is_alike() -> None:
    x = np.random.default_rng(2).normal(0, 0.1, 64)
    seen = decide_look(x.tolist(), look=3, looks=LOOKS, precision=0.1)
    assert seen.why == "alike within margin"


def test_an_open_question_says_how_many_items_would_settle_it() -> None:
    x = np.random.default_rng(3).normal(0.05, 1, 8)
    seen = decide_look(x.tolist(), look=0, looks=LOOKS, precision=0.2)
    assert (seen.why, seen.stop) == ("go on", False)
    assert seen.n_needed is not None
    assert seen.n_needed > 64
    again = np.random.default_rng(3).normal(0.05, 1, 64).tolist()
    last = decide_look(again, look=3, looks=LOOKS, precision=0.2)
    assert (last.why, last.stop) == ("exhausted", True)


def test_as_many_items_as_it_said_do_settle_it_four_times_in_five() -> None:
    rng = np.random.default_rng(4)
    needed = decide_look(
        (rng.normal(0, 1, 64) / 1).tolist(), look=3, looks=LOOKS, precision=0.2
    ).n_needed
    assert needed is not None
    looks = (needed // 4, needed // 2, needed)
    settled = sum(
        decide_look(
            rng.normal(0, 1, needed).tolist(), look=2, looks=looks, precision=0.2
        ).why
        != "exhausted"
        for _ in range(100)
    )
    assert settled >= 75


def test_a_handful_of_flips_one_way_is_not_called_before_the_exact_test_calls() -> None:
    four = [1.0] * 4 + [0.0] * 4
    assert decide_look(four, look=0, looks=LOOKS, precision=0.1).why == "go on"
    many = [1.0] * 20 + [0.0] * 12
    assert decide_look(many, look=2, looks=LOOKS, precision=0.1).why == "told apart"


def test_equal_answers_are_alike_only_once_there_are_enough() -> None:
    few = decide_look([0.0] * 8, look=0, looks=LOOKS, precision=0.1)
    assert few.why == "go on"
    assert few.difference.low < 0 < few.difference.high
    enough = decide_look([0.0] * 64, look=3, looks=LOOKS, precision=0.1)
    assert enough.why == "alike within margin"


def test_differences_of_one_size_have_an_interval_all_the_same() -> None:
    seen = decide_look([0.25] * 8, look=0, looks=LOOKS, precision=0.1)
    assert seen.difference.low < 0.25 < seen.difference.high


def test_E2_unscored_differences_are_left_out() -> None:
    seen = decide_look([math.nan] * 7 + [1.0], look=0, looks=LOOKS, precision=0.1)
    assert (seen.why, seen.n_needed) == ("go on", None)
    assert math.isnan(seen.difference.value)


def test_a_look_that_was_not_planned_is_refused() -> None:
    with pytest.raises(ValueError, match="look 4 of 4"):
        decide_look([0.0], look=4, looks=LOOKS, precision=0.1)
    with pytest.raises(ValueError, match="precision of 0"):
        decide_look([0.0], look=0, looks=LOOKS, precision=0)
