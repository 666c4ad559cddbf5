from __future__ import annotations

import math
import threading
import time

import pytest

from localkit.errors import (
    Cancelled,
    SessionClosed,
)
from localkit.runtime.params import SamplingParams
from localkit.runtime.pool.room import Rules
from tests.runtime.pools import (
    Bench,
    InThread,
    keep_alive_threads,
    until,
    wait_for,
)

GREEDY = SamplingParams(temperature=0, max_tokens=4)


def test_a_use_extends_the_keep_alive() -> None:
    bench = Bench(Rules(keep_alive_s=300))
    a = bench.open("a")
    a.tokenize("x")
    bench.now += 299
    a.tokenize("x")
    bench.now += 299
    bench.pool.sweep()
    assert bench.names() == ["a"]
    assert bench.pool.standing()[0].ends_in_s == 1
    bench.now += 2
    bench.pool.sweep()
    assert bench.names() == []
    gone = bench.pool.standing()[0]
    assert (gone.state, gone.reason) == ("unloaded", "unused for 300 s")


def test_an_unloaded_model_is_loaded_again_by_the_next_call() -> None:
    bench = Bench(Rules(keep_alive_s=10))
    a = bench.open("a")
    a.tokenize("x")
    bench.now += 100
    bench.pool.sweep()
    assert not a.loaded
    assert a.n_ctx == 1024  # known, and no reason to load
    assert bench.loads() == ["a"]
    assert len(list(a.stream([1], GREEDY))) == 4
    assert bench.loads() == ["a", "a"]


def test_a_stream_made_before_the_model_was_unloaded_is_computed_after() -> None:
    bench = Bench(Rules(keep_alive_s=10))
    a = bench.open("a")
    stream = a.stream([1], GREEDY)
    bench.now += 100
    bench.pool.sweep()
    assert bench.runtime.loaded[0].closed
    assert len(list(stream)) == stream.generation.usage.n_generated == 4
    assert bench.loads() == ["a", "a"]


@pytest.mark.parametrize("seconds", [math.inf, 0.0])
def test_for_ever_and_not_at_all(seconds: float) -> None:
    bench = Bench()
    a = bench.open("a", keep_alive_s=seconds)
    a.load()
    assert bench.names() == ["a"]  # loaded for a use still to come
    a.tokenize("x")
    if seconds:
        bench.now += 1e9
        bench.pool.sweep()
        assert bench.names() == ["a"]
        assert keep_alive_threads() == 0
    else:
        until(lambda: not a.loaded)


def test_a_keep_alive_can_be_changed_and_no_wish_leaves_it() -> None:
    bench = Bench(Rules(keep_alive_s=10))
    a = bench.open("a")
    a.load()
    a.keep(1000)
    bench.open("a").tokenize("x")
    bench.now += 500
    bench.pool.sweep()
    assert bench.names() == ["a"]
    a.keep(100)
    bench.pool.sweep()
    assert bench.names() == []


def test_the_thread_unloads_in_time_and_ends_with_the_last_model() -> None:
    bench = Bench(Rules(keep_alive_s=0.05))
    bench.pool._residents.clock = time.monotonic
    bench.pool._residents._keep_alive._clock = time.monotonic
    for name in "ab":
        bench.open(name).tokenize("x")
    until(lambda: bench.names() == [])
    until(lambda: keep_alive_threads() == 0)
    assert all(session.closed for session in bench.runtime.loaded)


def test_a_long_answer_outlives_its_keep_alive() -> None:
    bench = Bench(Rules(keep_alive_s=1))
    a = bench.open("a")
    with a.use() as session:
        bench.now += 1000
        bench.pool.sweep()
        assert session.tokenize("x", add_special=False) == [120]
    assert bench.names() == ["a"]


def test_close_is_final_and_frees_what_nobody_else_uses() -> None:
    bench = Bench()
    a, same = bench.open("a"), bench.open("a")
    a.load()
    with same.use():
        a.close()
        a.close()
        assert bench.names() == ["a"]
        with pytest.raises(SessionClosed, match="a was unloaded"):
            a.tokenize("x")
    same.close()
    assert bench.names() == []
    assert bench.pool.standing() == []  # nobody has to be told what he asked for


def test_closing_the_pool_ends_waiting_and_loading_and_refuses_what_comes() -> None:
    bench, gate = Bench(), threading.Event()
    bench.open("x").load()
    bench.runtime.before_load = wait_for(gate)
    loading = InThread(bench.open("a").load)
    bench.until_lines(2)
    waiting = InThread(bench.open("b").load)
    bench.until_lines(3)
    bench.pool.close()
    assert isinstance(waiting.done().error, SessionClosed)
    gate.set()
    assert isinstance(loading.done().error, Cancelled)
    assert all(session.closed for session in bench.runtime.loaded)
    with pytest.raises(SessionClosed):
        bench.open("c").load()
