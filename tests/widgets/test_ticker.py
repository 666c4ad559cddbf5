from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from localkit.widgets.ticker import MAX_VIEWS, Ticker

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bench:
    """A ticker, and how often it ticked."""

    def __init__(self) -> None:
        self.n_ticks = 0
        self.errors: list[BaseException] = []
        self.ticked = threading.Semaphore(0)
        self.ticker = Ticker(self.tick, every_s=0.005, on_error=self.errors.append)

    def tick(self) -> None:
        self.n_ticks += 1
        self.ticked.release()
        if self.n_ticks == 2:
            raise ValueError("once")

    def wait_for(self, n: int) -> None:
        for _ in range(n):
            assert self.ticked.acquire(timeout=10)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.ticker.close()


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "localkit-ticker"]


def rest() -> None:
    """Wait until no ticker ticks."""
    for thread in threads():
        thread.join(10)
    assert threads() == []


def test_nothing_ticks_before_a_view_opens(bench: Bench) -> None:
    assert not bench.ticker.runs
    assert threads() == []


def test_it_ticks_while_a_view_is_open_whatever_a_tick_raises(bench: Bench) -> None:
    bench.ticker.open("a")
    bench.wait_for(4)
    assert [str(error) for error in bench.errors] == ["once"]
    bench.ticker.leave("a")
    rest()
    n = bench.n_ticks
    bench.ticker.open("a")
    bench.wait_for(1)
    assert bench.n_ticks > n


def test_the_last_view_that_goes_ends_it(bench: Bench) -> None:
    bench.ticker.open("a")
    bench.ticker.open("b")
    bench.ticker.open("b")
    bench.ticker.leave("a")
    bench.ticker.leave("never opened")
    assert threads()
    bench.ticker.leave("b")
    rest()
    assert not bench.ticker.runs


def test_a_pause_ends_it_until_somebody_goes_on(bench: Bench) -> None:
    bench.ticker.open("a")
    bench.ticker.pause(True)
    rest()
    assert bench.ticker.paused
    bench.ticker.open("b")
    assert threads() == []
    bench.ticker.pause(False)
    assert bench.ticker.runs


def test_N3_a_front_end_that_opens_without_end_costs_one_thread(bench: Bench) -> None:
    for index in range(10 * MAX_VIEWS):
        bench.ticker.open(str(index))
    assert len(threads()) == 1
    for index in range(9 * MAX_VIEWS, 10 * MAX_VIEWS):
        bench.ticker.leave(str(index))
    assert not bench.ticker.runs
