from __future__ import annotations

import gc
import os
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from localkit.errors import (
    Cancelled,
    LoadFailed,
    Overloaded,
)
from localkit.events import CancelToken
from localkit.runtime.params import SamplingParams
from localkit.runtime.pool.pooled import PooledSession, use
from localkit.runtime.pool.resident import Lease
from localkit.runtime.pool.room import Rules
from localkit.runtime.protocol import Session
from tests.evals.fakes import fake_session
from tests.runtime.pools import (
    SIZE,
    Bench,
    InThread,
    until,
    wait_for,
)

if TYPE_CHECKING:
    from localkit.gguf import ModelInfo

GREEDY = SamplingParams(temperature=0, max_tokens=4)


def test_a_pooled_session_has_every_member_of_a_session() -> None:
    wanted = {name for name in vars(Session) if not name.startswith("_")}
    assert wanted <= set(dir(PooledSession))


def test_nothing_is_loaded_before_the_first_use_and_once_after_it() -> None:
    bench = Bench()
    session = bench.open("a")
    assert bench.loads() == []
    assert session.n_ctx == 1024
    assert session.loaded
    assert session.detokenize(session.tokenize("hello", add_special=False)) == "hello"
    stream = session.stream([1], GREEDY)
    assert len(list(stream)) == stream.generation.usage.n_generated == 4
    assert bench.loads() == ["a"]


def test_a_resident_model_serves_whoever_asks_for_no_more_context() -> None:
    bench = Bench()
    bench.open("a", 2048).load()
    for n_ctx in (None, 512, 1500, 2048):
        session = bench.open("a", n_ctx)
        session.load()
        assert session.n_ctx == 2048
    assert bench.loads() == ["a"]


def test_slightly_different_sizes_share_a_bucket() -> None:
    bench = Bench()
    for n_ctx in (1100, 1101, 1300, 1536, 1200):
        bench.open("a", n_ctx).load()
    assert bench.loads() == ["a"]
    assert bench.runtime.loaded[0].n_ctx == 1536


def test_an_idle_model_is_replaced_when_a_longer_context_is_asked_for() -> None:
    bench = Bench()
    short, long = bench.open("a", 512), bench.open("a", 2048)
    short.load()
    long.load()
    first, second = bench.runtime.loaded
    assert (first.closed, second.closed) == (True, False)
    assert short.tokenize("x", add_special=False) == [120]
    assert short.n_ctx == 2048
    assert bench.names() == ["a"]


def test_a_shorter_one_that_answers_is_replaced_when_its_answer_ends() -> None:
    bench = Bench()
    short, long = bench.open("a", 512), bench.open("a", 2048)
    stream = short.stream([1], GREEDY)
    pieces = iter(stream)
    next(pieces)
    long.load()
    assert len(bench.names()) == 2
    assert short.n_ctx == 512
    list(pieces)
    until(lambda: len(bench.names()) == 1)
    assert bench.runtime.loaded[0].closed
    assert len(stream.generation.tokens) == 4


def test_two_threads_that_ask_for_one_model_load_it_once() -> None:
    bench, gate = Bench(), threading.Event()
    bench.runtime.before_load = wait_for(gate)
    threads = [InThread(bench.open("a").load) for _ in range(8)]
    until(lambda: bench.pool.standing() and bench.pool.standing()[0].n_waiting == 7)
    gate.set()
    assert [thread.done().error for thread in threads] == [None] * 8
    assert bench.loads() == ["a"]


def test_a_load_does_not_hold_up_what_is_resident() -> None:
    bench, gate = Bench(), threading.Event()
    a = bench.open("a")
    a.load()
    bench.runtime.before_load = wait_for(gate)
    loading = InThread(bench.open("b").load)
    bench.until_lines(2)
    assert len(list(a.stream([1], GREEDY))) == 4
    assert loading.is_alive()
    gate.set()
    loading.done()
    assert bench.names() == ["b", "a"]


def test_loads_are_made_one_at_a_time_in_the_order_of_asking() -> None:
    bench, gate, at_once = Bench(), threading.Event(), []
    loading: list[str] = []

    def load(info: ModelInfo) -> None:
        loading.append(info.name)
        at_once.append(len(loading))
        gate.wait(20)
        loading.remove(info.name)

    bench.runtime.before_load = load
    threads = []
    for index, name in enumerate("abcd"):
        threads.append(InThread(bench.open(name).load))
        bench.until_lines(index + 1)
    gate.set()
    for thread in threads:
        assert thread.done().error is None
    assert bench.loads() == list("abcd")
    assert at_once == [1, 1, 1, 1]


def test_everybody_who_waited_for_a_refused_model_hears_the_reason() -> None:
    bench, gate, tries = Bench(), threading.Event(), []

    def refuse(info: ModelInfo) -> None:
        tries.append(info.name)
        gate.wait(20)
        raise LoadFailed("the engine refused it")

    bench.runtime.before_load = refuse
    threads = [InThread(bench.open("a").load) for _ in range(4)]
    until(lambda: bench.pool.standing() and bench.pool.standing()[0].n_waiting == 3)
    gate.set()
    for thread in threads:
        assert isinstance(thread.done().error, LoadFailed)
    assert tries == ["a"]
    assert bench.pool.standing() == []


def test_a_stopped_load_is_taken_up_by_the_next_who_waits() -> None:
    bench, gate, cancel = Bench(), threading.Event(), CancelToken()
    bench.runtime.before_load = wait_for(gate)
    first = bench.open("a")
    loader = InThread(lambda: first.load(cancel=cancel))
    until(lambda: bench.pool.standing())
    second = InThread(bench.open("a").load)
    until(lambda: bench.pool.standing()[0].n_waiting == 1)
    cancel.cancel()
    gate.set()
    assert isinstance(loader.done().error, Cancelled)
    assert second.done().error is None
    assert bench.names() == ["a"]


def test_R13_an_answer_that_is_dropped_gives_its_model_back() -> None:
    bench = Bench(Rules(memory=SIZE))
    pieces = iter(bench.open("a").stream([1], GREEDY))
    next(pieces)
    del pieces
    gc.collect()
    bench.open("b").load()
    assert bench.names() == ["b"]


def test_a_plain_session_needs_no_lease() -> None:
    session = fake_session()
    with use(session) as same:
        assert same is session


def test_many_threads_and_models_end_with_every_lease_given_back() -> None:
    bench = Bench(Rules(memory=2 * SIZE, keep_alive_s=0.5))
    sessions = [bench.open(name) for name in "abcd"]

    def work(seed: int) -> int:
        done = 0
        for step in range(25):
            session = sessions[(seed * 7 + step * step) % 4]
            assert len(list(session.stream([1], GREEDY))) == 4
            done += 1
        return done

    threads = [InThread(partial(work, n)) for n in range(8)]
    assert [thread.done().error for thread in threads] == [None] * 8
    assert sum(int(str(thread.result)) for thread in threads) == 200
    assert not any(one.in_use or one.n_waiting for one in bench.pool.standing())
    assert len(bench.names()) <= 2
    open_ = [session for session in bench.runtime.loaded if not session.closed]
    assert len(open_) == len(bench.names())


def test_release_may_be_called_twice_and_before_any_use() -> None:
    bench = Bench()
    a = bench.open("a")
    lease = Lease(a.holder)
    bench.pool.release(lease)
    bench.pool.take(lease)
    bench.pool.release(lease)
    bench.pool.release(lease)
    assert not bench.pool.standing()[0].in_use


def test_R12_one_more_than_may_wait_is_refused_and_none_is_dropped() -> None:
    bench, gate = Bench(Rules(max_queue=3)), threading.Event()
    bench.runtime.before_load = wait_for(gate)
    threads = []
    for index, name in enumerate("abcd"):  # one loads, three wait
        threads.append(InThread(bench.open(name).load))
        bench.until_lines(index + 1)
    started = time.monotonic()
    with pytest.raises(Overloaded, match="4 callers wait") as caught:
        bench.open("e").load()
    assert time.monotonic() - started < 1
    assert caught.value.retryable
    gate.set()
    assert [thread.done().error for thread in threads] == [None] * 4
    assert bench.loads() == list("abcd")


def test_a_cancel_while_waiting_leaves_the_queue() -> None:
    bench, gate, cancel = Bench(), threading.Event(), CancelToken()
    bench.runtime.before_load = wait_for(gate)
    first = InThread(bench.open("a").load)
    until(lambda: bench.pool.standing())
    b = bench.open("b")
    second = InThread(lambda: b.load(cancel=cancel))
    bench.until_lines(2)
    cancel.cancel()
    assert isinstance(second.done().error, Cancelled)
    assert len(bench.pool.standing()) == 1
    gate.set()
    assert first.done().error is None
    assert bench.loads() == ["a"]


def test_R4_ctrl_c_while_waiting_leaves_the_queue() -> None:
    bench, gate = Bench(), threading.Event()
    bench.runtime.before_load = wait_for(gate)
    first = InThread(bench.open("a").load)
    until(lambda: bench.pool.standing())

    def interrupt() -> None:
        bench.until_lines(2)
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = InThread(interrupt)
    b = bench.open("b")
    with pytest.raises(KeyboardInterrupt):
        b.load()
    interrupting.done()
    assert len(bench.pool.standing()) == 1
    gate.set()
    assert first.done().error is None
    b.load()
    assert bench.names() == ["b", "a"]


def test_R4_ctrl_c_while_loading_leaves_nothing_behind() -> None:
    bench = Bench()

    def interrupt(_: ModelInfo) -> None:
        raise KeyboardInterrupt

    bench.runtime.before_load = interrupt
    a = bench.open("a")
    with pytest.raises(KeyboardInterrupt):
        a.load()
    assert bench.pool.standing() == []
    bench.runtime.before_load = lambda _: None
    a.load()
    assert bench.names() == ["a"]
