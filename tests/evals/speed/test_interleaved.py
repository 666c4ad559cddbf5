from __future__ import annotations

from contextlib import closing

import pytest

from localkit.errors import Cancelled
from localkit.evals.comparing.family import find_family
from localkit.evals.running import side_by_side
from localkit.evals.running.bench import Bench
from localkit.evals.running.spec import SpeedSpec
from localkit.evals.runs.database import Runs
from localkit.evals.speed.interleaved import measure_speed, summarize
from localkit.events import CancelToken, no_progress
from localkit.runtime.fake import FakeSession
from localkit.runtime.pacing import busy
from localkit.runtime.pacing.busy import BusyMeter
from tests.evals.tiny_family import tiny_kit

SPEC = SpeedSpec(n_prompt=64, n_gen=8, reps=3)


def measure(kit, *, on_progress=no_progress, cancel=None):
    with closing(Runs(kit.settings.runs_db)) as runs:
        bench = Bench(kit, runs, on_progress, cancel or CancelToken())
        return measure_speed(bench, find_family(kit.store, "tiny").candidates, SPEC)


@pytest.fixture
def order(monkeypatch):
    """Return the quants in the order in which their prefill was timed."""
    timed = []
    real = FakeSession.time_prefill

    def recorded(self, n_tokens, *, depth=0):
        timed.append(self.info.quant)
        return real(self, n_tokens, depth=depth)

    monkeypatch.setattr(FakeSession, "time_prefill", recorded)
    return timed


def sample(decode, *, prefill=400.0, busy=0.0):
    return {"decode_per_s": decode, "prefill_per_s": prefill, "busy_cores": busy}


def test_rates_are_tokens_over_seconds_of_their_own_phase(tmp_path):
    timed = measure(tiny_kit(tmp_path))
    assert timed.speeds["F16"].prefill.median == pytest.approx(1000)
    assert timed.speeds["F16"].decode.median == pytest.approx(100)
    assert len(timed.speeds["Q4_0"].decode.samples) == 3


def test_candidates_are_warmed_up_and_timed_in_turn(tmp_path, order):
    timed = measure(tiny_kit(tmp_path))
    a, b, c, d = timed.speeds
    assert timed.interleaved
    assert order == [a, a, b, b, c, c, d, d, a, b, c, d, a, b, c, d]


def test_candidates_that_do_not_fit_side_by_side_are_timed_apart_and_said_so(
    tmp_path, order, monkeypatch
):
    monkeypatch.setattr(side_by_side.hardware, "available_memory", lambda: 1 << 20)
    kit = tiny_kit(tmp_path)
    timed = measure(kit)
    assert not timed.interleaved
    assert order[:4] == [order[0]] * 4


def test_timed_apart_no_two_models_are_ever_loaded_together(tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side.hardware, "available_memory", lambda: 1 << 20)
    kit = tiny_kit(tmp_path)
    load, most = kit.runtime.load, []

    def counted(*arguments, **options):
        session = load(*arguments, **options)
        most.append(sum(not other.closed for other in kit.runtime.loaded))
        return session

    monkeypatch.setattr(kit.runtime, "load", counted)
    measure(kit)
    assert max(most) == 1
    assert all(session.closed for session in kit.runtime.loaded)


def test_what_is_timed_is_not_timed_again_nor_loaded(tmp_path):
    kit = tiny_kit(tmp_path)
    first = measure(kit)
    n_loads = len(kit.runtime.loaded)
    assert measure(kit) == first
    assert len(kit.runtime.loaded) == n_loads


def test_E1_a_stopped_run_keeps_its_repetitions(tmp_path, order):
    kit, stop = tiny_kit(tmp_path), CancelToken()

    def stop_at_six(progress):
        if progress.done == 6:
            stop.cancel()

    with pytest.raises(Cancelled):
        measure(kit, on_progress=stop_at_six, cancel=stop)
    order.clear()
    assert len(measure(kit).speeds["F16"].decode.samples) == 3
    # Six repetitions are left, and every candidate is warmed up once more.
    assert len(order) == 6 + 4


def test_E4_a_wide_spread_is_called_noisy():
    assert summarize([sample(d) for d in (50, 50.5, 51)]).noise == ""
    noise = summarize([sample(d) for d in (40, 50, 60)]).noise
    assert noise == "decode spread 20 %"


def test_E4_other_work_on_the_machine_is_said():
    noise = summarize([sample(50), sample(50, busy=0.8), sample(50)]).noise
    assert noise == "other processes kept up to 0.8 cores busy"


def test_E4_equal_speeds_are_not_told_apart():
    one = summarize([sample(d) for d in (49, 50, 51, 50, 50)])
    other = summarize([sample(d) for d in (50, 51, 49, 50, 50)])
    assert one.decode.keeps_up_with(other.decode)


def test_E4_a_candidate_slower_in_every_turn_is_told_apart_on_a_noisy_machine():
    # The machine halves its speed midway; the ranges overlap, the pairs do not.
    slow = summarize([sample(d) for d in (50, 49, 30, 26, 25)])
    fast = summarize([sample(d) for d in (56, 55, 33, 29, 28)])
    assert slow.decode.high > fast.decode.low
    assert not slow.decode.keeps_up_with(fast.decode)
    assert fast.decode.keeps_up_with(slow.decode)


def test_E4_own_work_is_not_counted_as_the_work_of_others(monkeypatch):
    # (busy seconds of the machine, of this process), two seconds apart.
    readings = iter([(100.0, 40.0), (103.0, 41.5)])
    monkeypatch.setattr(BusyMeter, "_seconds", lambda _: next(readings))
    clock = iter([10.0, 12.0])
    monkeypatch.setattr(busy.time, "perf_counter", lambda: next(clock))
    assert BusyMeter().cores() == pytest.approx(0.75)


def test_the_machine_is_at_least_as_busy_as_this_process():
    busy, mine = BusyMeter._seconds()
    assert busy >= mine > 0
