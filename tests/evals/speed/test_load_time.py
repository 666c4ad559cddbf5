from __future__ import annotations

from contextlib import closing

import pytest

from localkit.evals.comparing.family import find_family
from localkit.evals.running.bench import Bench
from localkit.evals.runs.database import Runs
from localkit.evals.speed import load_time
from localkit.evals.speed.load_time import measure_load_time
from localkit.evals.speed.spec import LoadTimeSpec
from localkit.events import CancelToken, no_progress
from localkit.gguf import read_info
from localkit.runtime.load_time import LoadTime, time_load
from localkit.runtime.params import LoadParams
from tests.evals.tiny_family import tiny_kit


@pytest.fixture
def bench(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q8_0": "Q8_0"})
    with closing(Runs(kit.settings.runs_db)) as runs:
        yield Bench(kit, runs, no_progress, CancelToken())
    kit.close()


@pytest.fixture
def loads(monkeypatch):
    taken = []

    def timed(info, params, *, cancel=None):
        taken.append((info.quant, params))
        return LoadTime(0.1, 0.1 * len(taken))

    monkeypatch.setattr(load_time, "time_load", timed)
    return taken


def test_a_load_ends_with_its_first_token_in_a_child(tiny_gguf):
    taken = time_load(read_info(tiny_gguf), LoadParams(n_ctx=256, n_threads=1))
    assert 0 < taken.load_s < taken.ready_s < 60


def test_loads_are_timed_in_turn_and_the_first_of_each_is_not_counted(bench, loads):
    candidates = find_family(bench.kit.store, "tiny").candidates
    taken = measure_load_time(bench, candidates, LoadTimeSpec(256, reps=2))
    order = [quant for quant, _ in loads]
    assert order == ["F16", "F16", "Q8_0", "Q8_0", "F16", "Q8_0"]
    assert taken["F16"].samples == pytest.approx((0.2, 0.5))
    assert {params.n_ctx for _, params in loads} == {256}
    assert all(params.n_threads for _, params in loads)


def test_loads_that_were_timed_are_not_timed_again(bench, loads):
    candidates = find_family(bench.kit.store, "tiny").candidates
    first = measure_load_time(bench, candidates, LoadTimeSpec(256, reps=2))
    loads.clear()
    assert measure_load_time(bench, candidates, LoadTimeSpec(256, reps=2)) == first
    assert not loads
