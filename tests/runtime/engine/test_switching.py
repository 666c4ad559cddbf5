"""Short native calls keep the GIL; the switch interval is short only meanwhile."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from localkit.runtime import library
from localkit.runtime.engine.switching import (
    SWITCH_INTERVAL_S,
    quick_calls,
    short_switch_interval,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def default_interval() -> Iterator[None]:
    sys.setswitchinterval(0.005)
    yield
    assert sys.getswitchinterval() == 0.005
    sys.setswitchinterval(0.005)


def short() -> bool:
    return sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)


def test_the_last_engine_to_stop_restores_the_interval() -> None:
    with short_switch_interval():
        with short_switch_interval():
            assert short()
        assert short()
    assert sys.getswitchinterval() == 0.005


def test_an_error_restores_the_interval() -> None:
    with pytest.raises(ZeroDivisionError), short_switch_interval():
        _ = 1 / 0


def test_what_the_user_sets_meanwhile_stays() -> None:
    with short_switch_interval():
        sys.setswitchinterval(0.02)
    assert sys.getswitchinterval() == 0.02
    sys.setswitchinterval(0.005)


def test_a_shorter_interval_of_the_user_is_left_alone() -> None:
    sys.setswitchinterval(1e-5)
    with short_switch_interval():
        assert sys.getswitchinterval() == pytest.approx(1e-5)
    assert sys.getswitchinterval() == pytest.approx(1e-5)
    sys.setswitchinterval(0.005)


def test_threads_that_come_and_go_leave_the_users_interval() -> None:
    def come_and_go() -> None:
        for _ in range(200):
            with short_switch_interval():
                assert short()

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_R10_a_forked_child_gets_the_users_interval_back() -> None:
    with short_switch_interval():
        child = os.fork()
        if child == 0:
            os._exit(0 if sys.getswitchinterval() == 0.005 else 1)
        assert os.waitpid(child, 0)[1] == 0


@pytest.fixture
def sampler() -> Iterator[Any]:
    engine = library.library()
    chain = engine.llama_sampler_chain_init(engine.llama_sampler_chain_default_params())
    engine.llama_sampler_chain_add(chain, engine.llama_sampler_init_greedy())
    yield chain
    engine.llama_sampler_free(chain)


def test_quick_calls_are_the_engines_functions(sampler: Any) -> None:
    engine = library.library()
    quick = quick_calls(engine)
    assert quick is quick_calls(engine)
    for name, function in vars(quick).items():
        if name == "logits_address":
            continue
        assert function.argtypes == getattr(engine, name).argtypes
        assert function.restype == getattr(engine, name).restype
    assert quick.llama_sampler_reset(sampler) is None
    quick.llama_sampler_accept(sampler, 1)


@pytest.fixture
def candidates() -> Any:
    """Return so many that the greedy sampler is busy for longer than a hand-over."""
    engine = library.library()
    data = (engine.llama_token_data * 300_000)()
    return engine.llama_token_data_array(
        data=data, size=len(data), selected=-1, sorted=False
    )


def test_quick_calls_keep_the_gil_from_a_busy_cell(
    sampler: Any, candidates: Any
) -> None:
    engine = library.library()
    turns, stop = [0], threading.Event()

    def eager() -> None:
        while not stop.is_set():
            turns[0] += 1
            time.sleep(0)  # offers the GIL, and wants it back

    def turns_during(call: Any) -> int:
        """Return how many of 50 calls let the other thread run."""
        n_calls = 0
        for _ in range(50):
            before = turns[0]
            call(sampler, ctypes.byref(candidates))
            n_calls += turns[0] != before
        return n_calls

    sys.setswitchinterval(60)  # nobody is made to give the GIL away
    thread = threading.Thread(target=eager)
    thread.start()
    lets_go = turns_during(engine.llama_sampler_apply)
    keeps = turns_during(quick_calls(engine).llama_sampler_apply)
    stop.set()
    thread.join()
    sys.setswitchinterval(0.005)
    assert keeps == 0
    assert lets_go > 0
