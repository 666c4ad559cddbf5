from __future__ import annotations

import math
from contextlib import closing
from types import SimpleNamespace

import pytest

from localkit.evals.comparing.family import find_family
from localkit.evals.running.bench import Bench
from localkit.evals.runs.database import Runs
from localkit.evals.speed import energy
from localkit.evals.speed.energy import measure_energy
from localkit.events import CancelToken, no_progress
from localkit.runtime.energy import Unavailable
from tests.evals.fakes import fake_session
from tests.evals.tiny_family import tiny_kit


class Counter:
    method = "a counter"

    def __init__(self):
        self.joules, self.closed = 0.0, False

    def read(self):
        self.joules += 16.0
        return self.joules

    def close(self):
        self.closed = True


@pytest.fixture
def bench(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q8_0": "Q8_0"})
    with closing(Runs(kit.settings.runs_db)) as runs:
        yield Bench(kit, runs, no_progress, CancelToken())
    kit.close()


def test_joules_are_divided_by_the_tokens_that_were_decoded(bench, monkeypatch):
    counter = Counter()
    monkeypatch.setattr(energy, "energy_counter", lambda **_: counter)
    monkeypatch.setattr(energy, "_LEAST_S", 0.0)
    candidates = find_family(bench.kit.store, "tiny").candidates
    found = measure_energy(bench, candidates, n_gen=32, reps=2)
    assert found["Q8_0"].per_token_j == pytest.approx(0.5)
    assert found["Q8_0"].method == "a counter, idle power included"
    assert counter.closed


def test_decoding_goes_on_until_the_counter_has_moved(monkeypatch):
    ticks = iter([0.0, 0.5, 1.0, 2.5])  # three decodes of 32 tokens
    clock = SimpleNamespace(monotonic=lambda: next(ticks))
    monkeypatch.setattr(energy, "time", clock)
    sample = energy._time_decode(fake_session(), Counter(), n_gen=32)
    assert sample["per_token_j"] == pytest.approx(16 / 96)


def test_where_nothing_counts_the_reason_stands_and_nothing_is_loaded(
    bench, monkeypatch
):
    missing = Unavailable("the file is for root alone to read")
    monkeypatch.setattr(energy, "energy_counter", lambda **_: missing)
    candidates = find_family(bench.kit.store, "tiny").candidates
    found = measure_energy(bench, candidates)
    assert math.isnan(found["F16"].per_token_j)
    assert found["F16"].method == ("unavailable: the file is for root alone to read")
    assert not bench.kit.runtime.loaded
