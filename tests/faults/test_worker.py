"""R11, R12: neither of two processes outlives or takes down the other."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import SessionClosed, WorkerDied
from localkit.events import CancelToken
from localkit.gguf import read_info
from localkit.runtime.isolation.isolated import IsolatedRuntime
from localkit.runtime.isolation.worker import Worker
from localkit.runtime.isolation.worker_wire import Message
from localkit.runtime.params import LoadParams, SamplingParams
from tests.faults.processes import (
    end_group,
    is_running,
    seconds_until,
    start_script,
)

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.runtime.isolation.isolated_session import IsolatedSession

pytestmark = pytest.mark.faults

PARAMS = LoadParams(n_ctx=512, n_threads=1)
LONG = SamplingParams(temperature=0, logit_bias=((2, -1e9),))


@pytest.mark.parametrize("case", ["plain", "fork", "thread"])
def test_R11_a_worker_is_gone_within_two_seconds_of_its_parents_kill(
    tiny_gguf: Path, case: str
) -> None:
    if case == "fork" and sys.platform != "linux":
        pytest.skip("only Linux tells of a death that a fork hides")
    parent = start_script("worker_parent.py", str(tiny_gguf), case)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    try:
        assert is_running(worker)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        took_s = seconds_until(lambda: not is_running(worker), at_most_s=2)
        assert took_s <= 2
    finally:
        end_group(parent)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_R12_a_killed_worker_fails_what_it_was_doing_and_comes_back_once(
    tiny_gguf: Path, number: signal.Signals
) -> None:
    info = read_info(tiny_gguf)
    start = time.monotonic()
    session = IsolatedRuntime().load(info, PARAMS)
    load_s = time.monotonic() - start
    neighbour = IsolatedRuntime().load(info, PARAMS)
    expected = neighbour.stream([5, 6], SamplingParams(temperature=0, max_tokens=9))
    tokens = expected.wait().tokens

    stream = session.stream([5, 6], LONG)
    pieces = iter(stream)
    os.kill(session.pid, signal.SIGSTOP)  # in the middle, for certain
    failures: list[Exception] = []
    waiting = threading.Thread(target=_score, args=(session, failures))
    waiting.start()
    killed = threading.Timer(0.2, os.kill, [session.pid, number])
    killed.start()
    continued = threading.Timer(0.21, _continue, [session.pid])
    continued.start()
    start = time.monotonic()
    with pytest.raises(WorkerDied, match=number.name) as caught:
        for _ in pieces:
            pass
    assert time.monotonic() - start <= 0.2 + 1
    assert caught.value.retryable
    assert stream.generation.finish_reason == "error"
    waiting.join(1)
    assert isinstance(failures[0], WorkerDied)
    killed.join()
    continued.join()

    assert neighbour.stream([5, 6], LONG).wait().finish_reason == "length"
    start = time.monotonic()
    again = session.stream([5, 6], SamplingParams(temperature=0, max_tokens=9))
    assert again.wait().tokens == tokens
    assert time.monotonic() - start <= 2 * load_s + 1

    os.kill(session.pid, signal.SIGKILL)
    with pytest.raises(WorkerDied):
        session.stream([5, 6], LONG).wait()
    with pytest.raises(WorkerDied, match="died 2 times in a row") as caught:
        session.tokenize("x")
    assert "ask again in" in caught.value.hint
    assert neighbour.tokenize("x")
    session.close()
    neighbour.close()
    with pytest.raises(SessionClosed):
        session.tokenize("x")


def _score(session: IsolatedSession, failures: list[Exception]) -> None:
    try:
        session.score([5], [[6]])
    except WorkerDied as error:
        failures.append(error)


def _continue(pid: int) -> None:
    """Let a stopped process meet the signal that waits for it."""
    if is_running(pid):
        os.kill(pid, signal.SIGCONT)


def test_R12_many_requests_that_meet_a_death_start_one_worker(
    tiny_gguf: Path,
) -> None:
    session = IsolatedRuntime().load(read_info(tiny_gguf), PARAMS)
    first = session.pid
    os.kill(first, signal.SIGKILL)
    assert seconds_until(lambda: not is_running(first), at_most_s=5) < 5
    pids: list[int] = []

    def ask() -> None:
        # The death may be noticed while a request is on its way.
        try:
            session.tokenize("hello")
        except WorkerDied:
            session.tokenize("hello")
        pids.append(session.pid)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(pids) == 8
    assert set(pids) == {session.pid}
    assert session.pid != first
    session.close()


def test_R12_a_worker_that_talks_nonsense_is_put_down(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = IsolatedRuntime().load(read_info(tiny_gguf), PARAMS)
    from localkit.runtime.isolation import worker_wire

    def garbled(_: Any) -> Any:
        return worker_wire.Message({"id": "x", "kind": "y"})

    read = worker_wire.read
    pid = session.pid
    monkeypatch.setattr(worker_wire, "read", lambda stream: garbled(read(stream)))
    session.tokenize("hello")  # the reader was inside the true one
    with pytest.raises(WorkerDied, match="x") as caught:
        session.tokenize("hello")
    assert "ValueError" in str(caught.value)
    assert not is_running(pid)
    monkeypatch.undo()
    session.close()


def test_R12_a_worker_that_hears_no_cancel_is_put_down() -> None:
    worker = Worker("deaf")
    os.kill(worker.pid, signal.SIGSTOP)
    cancel = CancelToken()
    call = worker.ask("activity", Message({}), cancel=cancel, patience_s=0.3)
    cancel.cancel()
    with pytest.raises(WorkerDied, match="SIGKILL"):
        call.answers.wait()
    assert worker.died_at is not None


def test_a_closed_worker_leaves_no_process_thread_or_file_behind(
    tiny_gguf: Path,
) -> None:
    info = read_info(tiny_gguf)
    IsolatedRuntime().load(info, PARAMS).close()
    n_threads, n_files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        session = IsolatedRuntime().load(info, PARAMS)
        pid = session.pid
        session.close()
        assert not is_running(pid)
    assert threading.active_count() == n_threads
    assert len(os.listdir("/proc/self/fd")) == n_files
