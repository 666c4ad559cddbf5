from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from localkit.errors import Cancelled
from localkit.widgets.work import Worker

if TYPE_CHECKING:
    from localkit.events import CancelToken


class Log:
    """What a worker told."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.changes: list[bool] = []
        self.worker = Worker(on_error=self.errors.append, on_change=self._changed)

    def _changed(self) -> None:
        self.changes.append(self.worker.busy)


def wait_for_stop(cancel: CancelToken) -> None:
    while not cancel.cancelled:
        threading.Event().wait(0.002)
    raise Cancelled("stopped")


def test_jobs_are_done_one_after_the_other() -> None:
    log = Log()
    done: list[int] = []
    for index in range(20):
        log.worker.do(lambda _, index=index: done.append(index))  # type: ignore[misc]
    assert log.worker.wait(10)
    assert done == list(range(20))
    assert not log.worker.busy
    assert log.changes[-1] is False


def test_stopping_ends_the_job_at_hand_and_forgets_the_rest() -> None:
    log = Log()
    begun, done = threading.Event(), []

    def first(cancel: CancelToken) -> None:
        begun.set()
        wait_for_stop(cancel)

    log.worker.do(first)
    log.worker.do(lambda _: done.append(1))
    assert begun.wait(10)
    log.worker.stop()
    assert log.worker.wait(10)
    assert done == []
    assert log.errors == []


def test_after_a_stop_work_begins_anew() -> None:
    log = Log()
    log.worker.do(wait_for_stop)
    log.worker.stop()
    done: list[bool] = []
    log.worker.do(lambda cancel: done.append(cancel.cancelled))
    assert log.worker.wait(10)
    assert done == [False]


def test_an_error_is_told_and_the_next_job_is_done() -> None:
    log = Log()
    done: list[int] = []
    log.worker.do(lambda _: 1 / 0)  # type: ignore[arg-type]
    log.worker.do(lambda _: done.append(1))
    assert log.worker.wait(10)
    assert [type(error) for error in log.errors] == [ZeroDivisionError]
    assert done == [1]


def test_a_listener_that_fails_ends_no_work() -> None:
    errors: list[BaseException] = []

    def fail() -> None:
        raise RuntimeError("no")

    worker = Worker(on_error=errors.append, on_change=fail)
    done: list[int] = []
    worker.do(lambda _: done.append(1))
    assert worker.wait(10)
    assert done == [1]
    assert len(errors) == 2


def test_no_thread_stays_when_there_is_nothing_to_do() -> None:
    log = Log()
    for _ in range(3):
        log.worker.do(lambda _: None)
        assert log.worker.wait(10)
    names = [thread.name for thread in threading.enumerate() if thread.is_alive()]
    assert names.count("localkit-widget") <= 1  # the last one may be on its way out
