"""What prune does with downloads."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from localkit.errors import RegistryError
from localkit.io.locks import try_hold
from localkit.store import Store
from localkit.store.registry.download import download, downloaded
from localkit.store.registry.limits import Limits
from localkit.store.registry.working import all_working
from tests.store.registry.in_memory import InMemoryBlob, random_bytes

if TYPE_CHECKING:
    from localkit.store.layout import Layout

SIZE = 100_000
FAST = Limits(n_streams=2, part_size=30_000, n_tries=2, first_wait_s=0.001)
DAY_S = 24 * 3600.0


@pytest.fixture
def blob() -> InMemoryBlob:
    return InMemoryBlob(random_bytes(SIZE))


def prune(layout: Layout, *, after_s: float, grace_s: float = 0) -> int:
    """Prune so much later; return the bytes that this freed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: time.time_ns() / 1e9 + after_s)
        return Store(layout.root).prune(grace_s=grace_s).freed


def leave(layout: Layout, blob: InMemoryBlob) -> None:
    """Begin a download that fails."""
    blob.drop_after = lambda n: 0 if n else 20_000
    with pytest.raises(RegistryError):
        download(layout, blob, limits=FAST)
    blob.drop_after = lambda _: None
    assert [one.n_written() for one in all_working(layout)] == [20_000]


def test_an_abandoned_download_is_removed_after_a_day_and_not_before(
    layout: Layout, blob: InMemoryBlob
) -> None:
    leave(layout, blob)
    assert prune(layout, after_s=DAY_S - 600) == 0
    assert len(list(all_working(layout))) == 1
    assert prune(layout, after_s=DAY_S + 600) >= 20_000
    assert list(layout.partials.iterdir()) == []


def test_a_longer_grace_period_keeps_it_longer(
    layout: Layout, blob: InMemoryBlob
) -> None:
    leave(layout, blob)
    assert prune(layout, after_s=2 * DAY_S, grace_s=3 * DAY_S) == 0
    assert len(list(all_working(layout))) == 1


def test_a_file_that_was_never_committed_is_removed_after_a_day(
    layout: Layout, blob: InMemoryBlob
) -> None:
    download(layout, blob, limits=FAST)
    assert prune(layout, after_s=600) == 0
    assert prune(layout, after_s=DAY_S + 600) >= SIZE
    assert list(layout.partials.iterdir()) == []


def test_S9_a_download_that_is_being_written_is_never_abandoned(
    layout: Layout, blob: InMemoryBlob
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(n_sent: int) -> None:
        if n_sent > 40_000:
            begun.set()
            go_on.wait(20)

    blob.on_piece = wait
    found: list[bytes] = []

    def load() -> None:
        found.append(download(layout, blob, limits=FAST).read_bytes())

    thread = threading.Thread(target=load)
    thread.start()
    assert begun.wait(10)
    assert prune(layout, after_s=10 * DAY_S) == 0
    assert len(list(all_working(layout))) == 1
    go_on.set()
    thread.join()
    assert found == [blob.data]


def test_S9_a_file_about_to_be_committed_outlives_any_prune(
    layout: Layout, blob: InMemoryBlob
) -> None:
    with downloaded(layout, blob, limits=FAST) as path:
        prune(layout, after_s=DAY_S / 2)
        assert path.read_bytes() == blob.data


def test_a_download_whose_lock_is_held_is_left_alone(
    layout: Layout, blob: InMemoryBlob
) -> None:
    leave(layout, blob)
    with try_hold(layout.partial(blob.digest, ".lock"), purpose="a test") as held:
        assert held
        assert prune(layout, after_s=10 * DAY_S) == 0
    assert len(list(all_working(layout))) == 1
