"""Whose download it is, where no lock says so."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from localkit.io import processes
from localkit.io.processes import ProcessId
from localkit.store.registry import working as downloads
from localkit.store.registry.journal import Head, Journal
from localkit.store.registry.working import Working, all_working, claim, release

if TYPE_CHECKING:
    from localkit.store.layout import Layout

DIGEST = "sha256:" + "ab" * 32
GONE = ProcessId(processes.machine(), 2**22 + 1, 1)
ELSEWHERE = ProcessId("0badcafe", 1, 1)


@pytest.fixture(autouse=True)
def short_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "SIGN_EVERY_S", 0.04)
    monkeypatch.setattr(downloads, "_WATCH_S", 0.2)


def leave(layout: Layout, writer: ProcessId, *, n_written: int) -> Working:
    """Make the folder of a download that ``writer`` has got so far."""
    folder = layout.partial(DIGEST, f".by-{writer}-{n_written:08x}")
    folder.mkdir(parents=True)
    left = Working(folder, DIGEST)
    left.data.write_bytes(bytes(n_written))
    head = Head(digest=DIGEST, size=1_000, part_size=1_000, machine=processes.machine())
    Journal(left.journal, head, [n_written]).close()
    return left


def test_the_furthest_of_what_the_dead_left_is_taken_over_and_the_rest_removed(
    layout: Layout,
) -> None:
    for n_written in (100, 300, 200):
        leave(layout, GONE, n_written=n_written)
    mine = claim(layout, DIGEST)
    assert mine.n_written() == 300
    assert list(all_working(layout)) == [mine]
    assert mine.is_live()
    release(layout, mine, keep=True)
    (idle,) = all_working(layout)
    assert not idle.is_live()
    assert idle.n_written() == 300


def test_what_a_living_process_writes_is_not_taken_over(layout: Layout) -> None:
    parent = ProcessId(processes.machine(), os.getppid(), _started(os.getppid()))
    theirs = leave(layout, parent, n_written=300)
    mine = claim(layout, DIGEST)
    assert mine.n_written() == 0
    assert theirs in list(all_working(layout))
    release(layout, mine, keep=False)


def test_what_another_thread_writes_is_not_taken_over(layout: Layout) -> None:
    layout.partials.mkdir(parents=True)
    first, second = claim(layout, DIGEST), claim(layout, DIGEST)
    assert first.folder != second.folder
    for one in (first, second):
        release(layout, one, keep=False)


def test_a_silent_process_elsewhere_is_taken_over(layout: Layout) -> None:
    leave(layout, ELSEWHERE, n_written=300)
    mine = claim(layout, DIGEST)
    assert mine.n_written() == 300
    release(layout, mine, keep=False)


def test_a_process_elsewhere_that_gives_signs_of_life_is_not(layout: Layout) -> None:
    theirs = leave(layout, ELSEWHERE, n_written=300)
    over = threading.Event()

    def live() -> None:
        while not over.wait(0.02):
            os.utime(theirs.journal)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        mine = claim(layout, DIGEST)
    finally:
        over.set()
        thread.join()
    assert mine.n_written() == 0
    release(layout, mine, keep=False)


def test_many_who_take_over_at_once_get_it_once(layout: Layout) -> None:
    leave(layout, GONE, n_written=300)
    claimed: list[Working] = []
    together = threading.Barrier(6)

    def take() -> None:
        together.wait()
        claimed.append(claim(layout, DIGEST))

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.n_written() for one in claimed) == [0, 0, 0, 0, 0, 300]
    for one in claimed:
        release(layout, one, keep=False)


def _started(pid: int) -> int:
    import psutil

    return int(psutil.Process(pid).create_time())
