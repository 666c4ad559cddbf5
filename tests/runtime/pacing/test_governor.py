"""The thread count follows what other processes do to the cores."""

from __future__ import annotations

import ctypes
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from localkit.runtime.pacing.governor import ThreadGovernor
from localkit.runtime.pacing.threads import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Measured on two cores: decode of the demo model by thread count, idle.
CALIBRATED = {2: 1 / 107, 1: 1 / 56}
STARVED_S = 1 / 10


class Machine:
    """Two cores and a clock that steps advance."""

    def __init__(self) -> None:
        self.now = 0.0
        self.core_taken = False
        self.depth_factor = 1.0
        self.governor = ThreadGovernor(CALIBRATED, 2, clock=lambda: self.now)
        self.counts: list[int] = []

    @property
    def n_threads(self) -> int:
        return self.governor.n_threads

    def step(self, n_tokens: int = 1) -> None:
        n = self.n_threads
        single = STARVED_S if self.core_taken and n > 1 else CALIBRATED[n]
        seconds = single * (1 + 0.4 * (n_tokens - 1)) * self.depth_factor
        self.now += seconds
        change = self.governor.observe(n_tokens, seconds)
        if change is not None:
            assert change == self.n_threads
            self.counts.append(change)

    def run(self, seconds: float, n_tokens: int = 1) -> int:
        """Decode for so long; return the number of steps."""
        end, n_steps = self.now + seconds, 0
        while self.now < end:
            self.step(n_tokens)
            n_steps += 1
        return n_steps


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_an_idle_machine_keeps_its_calibrated_count(machine: Machine) -> None:
    machine.run(30)
    assert machine.n_threads == 2
    assert machine.counts == []
    assert machine.governor.note(since=0) is None


@pytest.mark.parametrize("n_tokens", [1, 2, 4, 8])
def test_a_taken_core_costs_threads_within_a_second(
    machine: Machine, n_tokens: int
) -> None:
    machine.run(3)
    machine.core_taken = True
    machine.run(1, n_tokens)
    assert machine.n_threads == 1
    note = machine.governor.note()
    assert note is not None
    assert "1 of 2 threads since then" in note


def test_sixteen_streams_adapt_after_their_first_slow_step(machine: Machine) -> None:
    machine.run(2, 16)
    machine.core_taken = True
    machine.step(16)
    assert machine.n_threads == 1


def test_the_note_gives_the_speed_that_was_left(machine: Machine) -> None:
    machine.run(2)
    machine.core_taken = True
    machine.run(1)
    assert "decode slowed to 0.093 of" in (machine.governor.note() or "")


def test_a_machine_slow_from_its_first_batch_is_noticed(machine: Machine) -> None:
    machine.core_taken = True
    machine.run(1, 4)
    assert machine.n_threads == 1


def test_a_core_that_stays_taken_costs_little(machine: Machine) -> None:
    machine.run(2)
    machine.core_taken = True
    machine.run(1)
    n_steps = machine.run(120)
    assert n_steps > 0.95 * 120 * 56


def test_threads_come_back_when_the_core_does(machine: Machine) -> None:
    machine.core_taken = True
    machine.run(1.5)
    machine.core_taken = False
    machine.run(3)
    assert machine.n_threads == 2
    assert machine.governor.note() is None
    told = machine.governor.note(since=0.5)
    assert told is not None
    assert "1 of 2 threads for" in told
    assert machine.governor.note(since=machine.now) is None


def test_a_long_context_is_no_reason_for_fewer_threads(machine: Machine) -> None:
    machine.run(2)
    for _ in range(400):
        machine.depth_factor *= 1.01
        machine.run(0.1)
    assert machine.n_threads == 2
    assert len(machine.counts) <= 12  # a trial and back, once a doubling
    assert machine.governor.note(since=0) is None


def test_batches_that_grow_and_shrink_are_no_slowdown(machine: Machine) -> None:
    for n_tokens in [*range(1, 17), *range(16, 0, -1)] * 20:
        machine.step(n_tokens)
        machine.step(n_tokens)
    assert machine.counts == []


def test_one_slow_step_changes_nothing_for_long(machine: Machine) -> None:
    machine.run(2)
    machine.governor.observe(1, 0.5)
    machine.now += 0.5
    machine.run(5)
    assert machine.n_threads == 2


def test_eight_threads_go_down_by_halves_and_up_again() -> None:
    now = [0.0]
    calibrated = {8: 0.010, 4: 0.018, 1: 0.07}
    governor = ThreadGovernor(calibrated, 8, clock=lambda: now[0])
    seen = []
    for n_free in (8, 2, 8):
        end = now[0] + 6
        while now[0] < end:
            n = governor.n_threads
            seconds = calibrated[n] if n <= n_free else 0.2
            now[0] += seconds
            governor.observe(1, seconds)
        seen.append(governor.n_threads)
    assert seen == [8, 1, 8]


def test_nothing_calibrated_is_learnt_on_the_way() -> None:
    governor = ThreadGovernor({}, 2, clock=lambda: 0.0)
    for _ in range(20):
        governor.observe(1, 0.01)
    changes = [governor.observe(1, 0.1) for _ in range(4)]
    assert changes[-1] == 1 or 1 in changes


@pytest.fixture
def taken_core() -> Iterator[None]:
    """Keep one of this process's cores busy from outside."""
    core = max(os.sched_getaffinity(0))
    loop = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", loop])
    yield
    process.kill()
    process.wait()


class Decoder:
    """The engine's decode loop, one token at a time."""

    def __init__(self, file: Path, n_threads: int) -> None:
        from localkit.runtime import library

        self.engine: Any = library.library()
        weights = self.engine.llama_model_default_params()
        weights.n_gpu_layers = 0
        self.model = self.engine.llama_model_load_from_file(str(file).encode(), weights)
        native = self.engine.llama_context_default_params()
        native.n_ctx = 512
        native.n_threads = native.n_threads_batch = n_threads
        self.context = self.engine.llama_init_from_model(self.model, native)
        self.position = 0

    def step(self, n_threads: int) -> float:
        engine = self.engine
        engine.llama_set_n_threads(self.context, n_threads, n_threads)
        if self.position == 500:
            engine.llama_memory_clear(engine.llama_get_memory(self.context), False)
            self.position = 0
        token = (ctypes.c_int32 * 1)(100)
        start = time.perf_counter()
        assert (
            engine.llama_decode(self.context, engine.llama_batch_get_one(token, 1)) == 0
        )
        self.position += 1
        return time.perf_counter() - start

    def close(self) -> None:
        self.engine.llama_free(self.context)
        self.engine.llama_model_free(self.model)


@pytest.mark.model
@pytest.mark.skipif(usable_cores() != 2, reason="counts the threads of two cores")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="pins a process")
def test_a_real_taken_core_is_not_waited_for(
    smollm2_gguf: Path, taken_core: None
) -> None:
    decoder = Decoder(smollm2_gguf, 2)
    alone = statistics.median(decoder.step(1) for _ in range(8))
    # As if two threads had been calibrated while nobody else was here.
    governor = ThreadGovernor({2: alone / 1.8, 1: alone}, 2)
    steps = []
    end = time.perf_counter() + 4
    while time.perf_counter() < end:
        steps.append(decoder.step(governor.n_threads))
        governor.observe(1, steps[-1])
    by_count = {n: statistics.median(decoder.step(n) for _ in range(8)) for n in (1, 2)}
    decoder.close()
    # Loose: other tests may run. A count that is not adapted is ten times slower.
    settled = statistics.median(steps[len(steps) // 2 :])
    assert settled < 3 * min(by_count.values()), by_count
