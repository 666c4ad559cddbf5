from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from localkit.errors import (
    DoesNotFit,
    Overloaded,
    SessionClosed,
)
from localkit.events import CancelToken
from localkit.runtime.fake import FakeSession
from localkit.runtime.params import SamplingParams
from localkit.runtime.pool.room import Rules
from tests.runtime.pools import (
    SIZE,
    Bench,
    InThread,
    need,
    until,
)

GREEDY = SamplingParams(temperature=0, max_tokens=4)


def test_the_idle_model_used_longest_ago_makes_room() -> None:
    bench = Bench(Rules(memory=2 * SIZE))
    a, b, c = (bench.open(name) for name in "abc")
    a.load()
    b.load()
    a.tokenize("x")
    c.load()
    assert bench.names() == ["c", "a"]
    gone = bench.pool.standing()[-1]
    assert (gone.name, gone.state, gone.reason) == (
        "b",
        "unloaded",
        "evicted to make room for c",
    )


def test_a_model_that_is_answering_is_never_evicted() -> None:
    bench = Bench(Rules(memory=2 * SIZE))
    a, b = bench.open("a"), bench.open("b")
    pieces = iter(a.stream([1], GREEDY))
    next(pieces)
    b.load()
    bench.open("c").load()
    assert bench.names() == ["c", "a"]
    assert not bench.runtime.loaded[0].closed
    assert len(list(pieces)) == 3


def test_a_model_busy_in_the_engine_is_answering_without_a_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(Rules(memory=2 * SIZE))
    a, b = bench.open("a"), bench.open("b")
    a.load()
    b.load()
    engine = bench.runtime.loaded[0]
    idle = engine.activity
    busy = replace(idle, n_busy=1)
    monkeypatch.setattr(
        FakeSession, "activity", property(lambda one: busy if one is engine else idle)
    )
    bench.open("c").load()
    assert bench.names() == ["c", "a"]


def test_who_needs_the_memory_of_an_answer_waits_for_its_end() -> None:
    bench = Bench(Rules(memory=SIZE))
    a, go = bench.open("a"), threading.Event()

    def answer() -> None:
        with a.use():
            go.wait(20)

    answering = InThread(answer)
    until(lambda: a.loaded)
    loading = InThread(bench.open("b").load)
    bench.until_lines(2)
    again = InThread(lambda: bench.open("a").tokenize("x"))
    until(lambda: bench.pool.standing()[0].n_waiting == 1)  # b is served before
    assert loading.is_alive()
    go.set()
    for thread in (answering, loading, again):
        assert thread.done().error is None
    assert bench.loads() == ["a", "b", "a"]


def test_calls_that_belong_to_a_use_do_not_wait_for_who_waits_for_it() -> None:
    bench = Bench(Rules(memory=SIZE))
    a = bench.open("a")
    with a.use():
        loading = InThread(bench.open("b").load)
        bench.until_lines(2)
        threading.Event().wait(0.15)  # b has asked for a's memory by now
        assert InThread(lambda: a.tokenize("x")).done().error is None
    assert loading.done().error is None


def test_what_this_thread_uses_itself_is_not_waited_for() -> None:
    bench = Bench(Rules(memory=SIZE))
    with bench.open("a").use(), pytest.raises(DoesNotFit):
        bench.open("b").load()
    one = Bench(Rules(max_models=1))
    with one.open("a").use(), pytest.raises(Overloaded, match="1 models are loaded"):
        one.open("b").load()


def test_R3_a_model_that_would_not_fit_alone_evicts_nothing() -> None:
    bench = Bench(Rules(memory=2 * SIZE))
    a, b = bench.open("a"), bench.open("b")
    a.load()
    b.load()
    with pytest.raises(DoesNotFit) as caught:
        bench.open("c", 4096).load()
    assert caught.value.needed == need(4096)
    assert caught.value.available == 2 * SIZE
    assert 2000 < caught.value.n_ctx_that_fits < 4096
    assert bench.names() == ["b", "a"]


def test_a_default_load_is_shortened_only_when_nothing_more_can_go() -> None:
    bench = Bench(Rules(memory=SIZE + need(512)))
    a, b = bench.open("a"), bench.open("b")
    a.load()
    b.load()
    assert bench.names() == ["b"]
    with b.use():
        c = bench.open("c")
        c.load()
        assert c.n_ctx == 512
        bench.open("c").load()  # the same wish, and what it got before serves it
    assert bench.loads() == ["a", "b", "c"]


def test_a_number_of_models_can_be_the_limit() -> None:
    bench = Bench(Rules(max_models=2))
    for name in "abcd":
        bench.open(name).load()
    assert bench.names() == ["d", "c"]


def test_what_is_loaded_apart_is_exact_and_nobody_elses() -> None:
    bench = Bench(Rules(memory=3 * SIZE, max_models=1, keep_alive_s=0))
    bench.open("a").load()
    apart = bench.open("a", 700, apart=True)
    apart.hold()
    assert apart.n_ctx == 700
    bench.open("b").load()  # evicts the shared one, not the other
    bench.now += 1e6
    bench.pool.sweep()
    bench.pool.unload()
    assert [(one.name, one.apart) for one in bench.pool.standing()[:1]] == [("a", True)]
    assert apart.time_decode(4) > 0
    apart.close()
    assert bench.runtime.loaded[1].closed
    with pytest.raises(SessionClosed):
        apart.tokenize("x")


def test_a_waiter_that_gives_up_lets_the_model_it_waited_for_go_on() -> None:
    bench, cancel = Bench(Rules(memory=SIZE)), CancelToken()
    a, go = bench.open("a"), threading.Event()

    def answer() -> None:
        with a.use():
            go.wait(20)

    answering = InThread(answer)
    until(lambda: a.loaded)
    b = bench.open("b")
    loading = InThread(lambda: b.load(cancel=cancel))
    bench.until_lines(2)
    threading.Event().wait(0.15)
    cancel.cancel()
    loading.done()
    assert InThread(lambda: bench.open("a").tokenize("x")).done().error is None
    go.set()
    answering.done()
    assert bench.loads() == ["a"]
