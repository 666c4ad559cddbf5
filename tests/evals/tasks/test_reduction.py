from __future__ import annotations

import itertools
import math

import pytest

from localkit.errors import UsageError
from localkit.evals.tasks.reduction import reduce_epochs

NAN = math.nan


@pytest.mark.parametrize("n", [1, 3, 6])
def test_pass_at_k_is_the_share_of_all_draws_of_k(n: int) -> None:
    for right, k in itertools.product(range(n + 1), range(1, n + 1)):
        values = [1.0] * right + [0.0] * (n - right)
        draws = list(itertools.combinations(values, k))
        some = sum(any(draw) for draw in draws) / len(draws)
        every = sum(all(draw) for draw in draws) / len(draws)
        assert reduce_epochs(values, reduction="pass@k", k=k) == pytest.approx(some)
        assert reduce_epochs(values, reduction="pass^k", k=k) == pytest.approx(every)


def test_the_mean_takes_parts() -> None:
    assert reduce_epochs([0.5, 1.0, 0.0], reduction="mean", k=1) == 0.5


def test_a_part_has_not_passed() -> None:
    assert reduce_epochs([0.9, 0.9], reduction="pass@k", k=1) == 0


def test_E2_unscored_epochs_do_not_count() -> None:
    assert reduce_epochs([NAN, 1.0], reduction="mean", k=1) == 1
    assert reduce_epochs([NAN, 1.0, 0.0], reduction="pass@k", k=2) == 1
    assert math.isnan(reduce_epochs([NAN, 1.0], reduction="pass^k", k=2))
    assert math.isnan(reduce_epochs([NAN], reduction="mean", k=1))
    assert math.isnan(reduce_epochs([], reduction="mean", k=1))


def test_k_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="k is 0"):
        reduce_epochs([1.0], reduction="pass@k", k=0)
