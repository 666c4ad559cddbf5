from __future__ import annotations

import math

import pytest

from localkit.errors import NotComparable
from localkit.evals.comparing.task_results import task_results
from localkit.evals.statistics.estimates import holm
from localkit.evals.statistics.scored import Scored


def scores(right: int, n: int = 40) -> list[Scored]:
    return [Scored(f"s{i}", float(i < right)) for i in range(n)]


def test_every_candidate_is_tested_against_the_reference_and_adjusted() -> None:
    found = task_results(
        "sums", "exact", {"F16": scores(30), "Q4": scores(26), "Q2": scores(12)}, "F16"
    )
    assert found["F16"].difference is None
    assert math.isnan(found["F16"].p_holm)
    q4, q2 = found["Q4"], found["Q2"]
    assert (q4.p_holm, q2.p_holm) == holm([q4.p_value, q2.p_value])
    assert (q2.n_lost, q2.n_gained, q2.metric) == (18, 0, "exact")
    assert q2.p_holm < 0.05 < q4.p_holm
    assert q4.n_needed is not None
    assert q4.n_needed > 40


def test_E2_without_a_reference_nothing_is_compared() -> None:
    with pytest.raises(NotComparable, match="no scores of the reference F16"):
        task_results("sums", "exact", {"Q4": scores(1)}, "F16")
