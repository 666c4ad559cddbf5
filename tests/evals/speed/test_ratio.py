from __future__ import annotations

import numpy as np
import pytest

from localkit.evals.speed.conditions import spread
from localkit.evals.speed.ratio import best, ratio, uncertainty


def test_a_ratio_stands_where_the_machine_drifts():
    # Its speed halves midway: medians of the two say little, the pairs say 1.10.
    reference = spread([50, 49, 30, 26, 25])
    value = spread([55, 53.9, 33, 28.6, 27.5])
    found = ratio(value, reference)
    assert found.value == pytest.approx(1.1)
    assert found.low == pytest.approx(1.1, abs=0.001)
    assert uncertainty(found) == ""


def test_E4_a_ratio_that_repetitions_disagree_on_is_called_uncertain():
    found = ratio(spread([50, 60, 40]), spread([50, 40, 60]))
    assert found.low < 1 < found.high
    assert uncertainty(found) == "ratio unknown"
    nearer = ratio(spread([50, 51, 49, 50, 52]), spread([50, 54, 51, 49, 50]))
    assert uncertainty(nearer).startswith("ratio uncertain by ")


def test_E4_the_same_speed_twice_is_within_five_percent_or_flagged():
    rng = np.random.default_rng(0)
    wrong = 0
    for noise in (0.005, 0.02, 0.1):
        for _ in range(300):
            a, b = 50 * np.exp(rng.normal(0, noise, (2, 5)))
            found = ratio(spread(a), spread(b))
            quiet = not uncertainty(found)
            wrong += quiet and not 0.95 <= found.value <= 1.05
    assert wrong <= 0.05 * 900


def test_the_best_is_named_with_those_that_keep_up_and_those_that_do_not():
    points = {
        "1 threads": spread([30, 31, 30, 31, 30]),
        "2 threads": spread([50, 51, 50, 52, 50]),
        "4 threads": spread([50, 50, 51, 50, 51]),
    }
    found = best(points)
    assert found.name in {"2 threads", "4 threads"}
    assert len(found.keeping_up) == 1
    ((slow, by),) = found.slower
    assert slow == "1 threads"
    assert by.high < 1
    assert "not shown to be slower" in str(found)
    assert "0.60 times as fast" in str(found)
