from __future__ import annotations

import pytest

from localkit.evals.speed.roofline import Roofline, measure_roofline


def test_a_token_is_bound_by_the_bytes_it_reads():
    assert Roofline(20e9).tok_per_s_bound(100_000_000) == pytest.approx(200)


def test_memory_is_read_at_a_speed_that_memory_has():
    found = measure_roofline(1, size=16 << 20)
    assert 1e8 < found.bandwidth_per_s < 1e13
