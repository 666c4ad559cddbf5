from __future__ import annotations

import threading

import pytest

from localkit.errors import SessionClosed
from localkit.events import CancelToken
from localkit.runtime.engine import owner as owner_module
from localkit.runtime.engine.owner import Owner


@pytest.fixture
def aborts() -> list[bool]:
    return []


@pytest.fixture
def owner(aborts: list[bool]):
    owner = Owner("test", abort=aborts.append)
    yield owner
    owner.close(lambda: None)


def test_every_call_runs_on_the_one_thread(owner: Owner) -> None:
    names = {owner.call(lambda _: threading.current_thread().name) for _ in range(3)}
    assert names == {"localkit-test"}


def test_what_the_work_raises_reaches_the_caller(owner: Owner) -> None:
    def fail(_: CancelToken) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        owner.call(fail)
    assert owner.call(lambda _: 1) == 1


def test_values_come_in_order_and_then_the_result(owner: Owner) -> None:
    def count(emit):
        return [emit(value) for value in range(5)]

    reading = owner.start(count, ahead=1)
    assert list(reading) == [0, 1, 2, 3, 4]
    assert reading.result == [True] * 5


def test_R13_dropping_the_reader_ends_the_work(owner: Owner) -> None:
    ended = threading.Event()

    def endless(emit):
        while emit(0):
            pass
        ended.set()

    reading = owner.start(endless, ahead=2)
    iterator = iter(reading)
    next(iterator)
    del iterator
    assert ended.wait(5)


def test_a_stop_meant_for_a_waiting_call_spares_the_one_that_runs(
    owner: Owner, aborts: list[bool]
) -> None:
    go_on = threading.Event()
    running = owner.start(lambda emit: go_on.wait(5))
    waiting = CancelToken()
    queued = owner.start(lambda emit: waiting.cancelled, cancel=waiting)
    waiting.cancel()
    threading.Timer(0.2, go_on.set).start()
    assert list(queued) == []
    assert running.result is True
    assert queued.result is True
    assert True not in aborts


def test_closing_stops_the_call_in_progress_and_refuses_new_ones(
    aborts: list[bool],
) -> None:
    owner = Owner("closing", abort=aborts.append)
    started = threading.Event()
    token = CancelToken()

    def until_cancelled(emit):
        started.set()
        while emit(0):
            pass

    reading = owner.start(until_cancelled, cancel=token, ahead=1)
    assert started.wait(5)
    finished: list[str] = []
    owner.close(lambda: finished.append(threading.current_thread().name))
    assert finished == ["localkit-closing"]
    assert token.cancelled
    assert aborts[-1] is True
    assert reading.result is None
    with pytest.raises(SessionClosed, match="closing was unloaded"):
        owner.call(lambda _: 1)
    owner.close(lambda: finished.append("again"))
    assert len(finished) == 1


def test_an_owner_rests_after_each_call_only_while_there_are_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owner_module, "_owners", set())
    rests: list[str] = []
    first = Owner("first", abort=lambda _: None, rest=lambda: rests.append("first"))
    first.call(lambda _: None)
    second = Owner("second", abort=lambda _: None)
    first.call(lambda _: None)
    second.close(lambda: None)
    first.call(lambda _: None)
    first.close(lambda: None)
    assert rests == ["first"]
