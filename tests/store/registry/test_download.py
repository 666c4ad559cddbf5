from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import Cancelled, DigestMismatch, RegistryError, StoreLocked
from localkit.events import CancelToken, Progress
from localkit.io.atomic import publish
from localkit.io.locks import hold
from localkit.store import blobs
from localkit.store.layout import Layout
from localkit.store.registry.abandoned import remove_idle_locks
from localkit.store.registry.download import download, downloaded
from localkit.store.registry.limits import Limits
from localkit.store.registry.working import all_working
from tests.store.registry.in_memory import InMemoryBlob, random_bytes

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 100_000
FAST = Limits(
    n_streams=3, part_size=9_000, stall_s=0.2, first_wait_s=0.001, longest_wait_s=0.01
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "models")


@pytest.fixture
def data() -> bytes:
    return random_bytes(SIZE)


def load(layout: Layout, blob: InMemoryBlob, **options: Any) -> bytes:
    """Download a blob, check where it lies and that nothing else does."""
    path = download(layout, blob, limits=FAST, **options)
    assert path == layout.partial(blob.digest)
    assert not list(all_working(layout))
    return path.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 999, 9_000, 9_001, 26_999, SIZE])
def test_a_blob_of_any_size_comes_whole(layout: Layout, size: int) -> None:
    data = random_bytes(size)
    assert load(layout, InMemoryBlob(data)) == data


def test_parts_are_asked_for_once_and_together_are_the_blob(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data)
    assert load(layout, blob) == data
    assert blob.n_sent == SIZE
    ranges = sorted((start, end or 0) for start, end in blob.asked)
    assert len(ranges) == -(-SIZE // 9_000)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == SIZE
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))


def test_a_verified_file_is_not_loaded_again(layout: Layout, data: bytes) -> None:
    blob = InMemoryBlob(data)
    load(layout, blob)
    load(layout, blob)
    assert blob.n_sent == SIZE


def test_progress_is_in_bytes_and_ends_at_the_size(layout: Layout, data: bytes) -> None:
    reports: list[Progress] = []
    load(layout, InMemoryBlob(data), on_progress=reports.append)
    assert reports[-1] == Progress("downloading", SIZE, SIZE, "B")


def test_P1_fifty_drops_and_it_finishes_without_a_byte_twice(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data, drop_after=lambda n: 1_000 if n < 80 else None)
    assert load(layout, blob) == data
    assert len(blob.asked) > 50
    assert blob.n_sent == SIZE


def test_P1_a_stalled_connection_is_given_up_and_another_goes_on(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data, stall_after=lambda n: 2_000 if n in {0, 2} else None)
    begun = time.monotonic()
    assert load(layout, blob) == data
    assert time.monotonic() - begun < 5
    assert blob.n_sent == SIZE
    blob.released.set()


def test_P1_a_connection_that_stalls_each_time_is_an_error(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data, stall_after=lambda _: 0)
    limits = Limits(n_streams=2, part_size=60_000, stall_s=0.05, n_tries=3)
    with pytest.raises(RegistryError, match=r"sends nothing of blob .* for 0.05 s"):
        download(layout, blob, limits=limits)
    blob.released.set()


def test_P1_a_server_that_always_fails_is_asked_six_times_a_part(
    layout: Layout, data: bytes
) -> None:
    failure = RegistryError("busy", status=502, retryable=True)
    blob = InMemoryBlob(data, refuse=lambda _: failure)
    with pytest.raises(RegistryError, match="busy"):
        load(layout, blob)
    assert 6 <= len(blob.asked) <= 3 * 6
    assert not list(all_working(layout)), "nothing came, so nothing is kept"


def test_P4_a_refusal_for_good_is_not_repeated(layout: Layout, data: bytes) -> None:
    refusal = RegistryError("not for you", status=403)
    blob = InMemoryBlob(data, refuse=lambda _: refusal)
    with pytest.raises(RegistryError, match="not for you"):
        load(layout, blob)
    assert len(blob.asked) <= 3


def test_P4_a_server_that_wants_fewer_connections_gets_fewer(
    layout: Layout, data: bytes
) -> None:
    open_now, most = threading.Semaphore(1), Limits().n_tries
    n_refused = 0

    class Jealous(InMemoryBlob):
        def read(self, start: int, end: int | None = None) -> Any:
            nonlocal n_refused
            if not open_now.acquire(blocking=False):
                n_refused += 1
                raise RegistryError("one at a time", status=503, retryable=True)
            return self._one(start, end)

        def _one(self, start: int, end: int | None) -> Any:
            @contextmanager
            def opened() -> Any:
                try:
                    with InMemoryBlob.read(self, start, end) as reply:
                        yield reply
                finally:
                    open_now.release()

            return opened()

    assert load(layout, Jealous(data)) == data
    assert n_refused <= most


def test_P2_a_server_that_ignores_ranges_is_read_once_from_the_start(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data, ignore_range=True)
    assert load(layout, blob) == data
    assert blob.asked[-1] == (0, None)


def test_P2_without_ranges_drops_are_beginnings_and_nothing_is_spliced(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(
        data,
        ignore_range=True,
        drop_after=lambda n: min(n * 9_000, 90_000) if n < 14 else None,
    )
    assert load(layout, blob) == data


def test_P2_without_ranges_and_never_further_is_an_error(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data, ignore_range=True, drop_after=lambda _: 50_000)
    with pytest.raises(RegistryError, match="ignores ranges and breaks off"):
        load(layout, blob)


ODD: dict[str, dict[str, Any]] = {
    "another range than was asked": {"shift": 7},
    "larger than declared": {"served": random_bytes(SIZE) + b"more"},
    "larger, and says nothing": {
        "served": random_bytes(SIZE)[:-1] + b"more",
        "says_total": False,
        "ignore_range": True,
    },
    "smaller than declared": {"served": random_bytes(SIZE)[:-4]},
    "smaller, and says nothing": {
        "served": random_bytes(SIZE)[:-4],
        "says_total": False,
    },
    "claims another size": {"total": SIZE + 1},
    "refuses every range": {"refuse": lambda _: RegistryError("no", status=416)},
    "changes with each reply": {"etags": [f'"{n}"' for n in range(1_000)]},
}


@pytest.mark.parametrize("odd", list(ODD))
def test_P2_a_server_that_is_not_of_one_mind_is_refused_and_nothing_is_kept(
    layout: Layout, data: bytes, odd: str
) -> None:
    blob = InMemoryBlob(data, **ODD[odd])
    if odd == "changes with each reply":
        blob.drop_after = lambda _: 20_000
    with pytest.raises(DigestMismatch, match="came wrong twice"):
        load(layout, blob)
    assert not layout.partial(blob.digest).exists()
    assert not list(all_working(layout))


def test_P2_a_blob_that_changed_once_is_loaded_again_from_its_start(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data, etags=['"a"', '"a"', '"a"', '"a"', '"b"'])
    reports: list[Progress] = []
    assert load(layout, blob, on_progress=reports.append) == data
    assert blob.asked[-1] == (0, None)
    assert reports[-1].step == 'downloading again: the blob changed from "a" to "b"'


@pytest.mark.parametrize("odd", list(ODD))
def test_P2_never_more_bytes_are_written_than_were_declared(
    layout: Layout, data: bytes, odd: str
) -> None:
    sizes = [0]

    def look(_: int) -> None:
        with suppress(FileNotFoundError):
            sizes.extend(one.data.stat().st_size for one in all_working(layout))

    with suppress(DigestMismatch):
        load(layout, InMemoryBlob(data, on_piece=look, **ODD[odd]))
    assert max(sizes) <= SIZE


@pytest.mark.parametrize("at", [0, SIZE // 2, SIZE - 1])
def test_P3_wrong_bytes_are_loaded_again_once_and_never_visible(
    layout: Layout, data: bytes, at: int
) -> None:
    wrong = bytearray(data)
    wrong[at] ^= 1
    blob = InMemoryBlob(data, served=bytes(wrong))
    with pytest.raises(DigestMismatch, match="came wrong twice"):
        load(layout, blob)
    assert blob.n_sent == 2 * SIZE
    assert not layout.partial(blob.digest).exists()
    assert not list(all_working(layout))


def interrupted(layout: Layout, blob: InMemoryBlob, *, after: int) -> None:
    """Cancel a download once so many bytes were sent."""
    cancel = CancelToken()

    def look(n_sent: int) -> None:
        if n_sent >= after:
            cancel.cancel()
            blob.released.wait(0.02)

    blob.on_piece = look
    with pytest.raises(Cancelled):
        load(layout, blob, cancel=cancel)
    blob.on_piece = lambda _: None
    blob.n_sent = 0


def test_P9_a_cancelled_download_goes_on_where_it_stopped(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data)
    interrupted(layout, blob, after=50_000)
    (left,) = all_working(layout)
    kept = left.n_written()
    assert kept >= 50_000
    assert load(layout, blob) == data
    assert blob.n_sent == SIZE - kept


def test_P9_cancel_returns_within_a_second_from_a_silent_server(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data, stall_after=lambda _: 3_000)
    cancel = CancelToken()
    timer = threading.Timer(0.1, cancel.cancel)
    timer.start()
    limits = Limits(n_streams=3, part_size=9_000)
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        download(layout, blob, limits=limits, cancel=cancel)
    assert time.monotonic() - begun < 1.1
    blob.released.set()


@pytest.mark.parametrize("harm", ["flip", "truncate", "lengthen", "remove"])
def test_P3_a_partial_whose_bytes_changed_is_thrown_away_and_loaded_again(
    layout: Layout, data: bytes, harm: str
) -> None:
    blob = InMemoryBlob(data)
    interrupted(layout, blob, after=50_000)
    (left,) = all_working(layout)
    bytes_now = bytearray(left.data.read_bytes())
    if harm == "flip":
        bytes_now[20_000] ^= 4
    elif harm == "truncate":
        del bytes_now[20_000:]
    else:
        bytes_now += bytes(SIZE)
    if harm == "remove":
        left.data.unlink()
    else:
        left.data.write_bytes(bytes_now)
    assert load(layout, blob) == data


@pytest.mark.parametrize("size", [0, 1, 4_000, 4_096, 4_100, 4_200])
def test_a_torn_journal_is_harmless(layout: Layout, data: bytes, size: int) -> None:
    blob = InMemoryBlob(data)
    interrupted(layout, blob, after=50_000)
    (left,) = all_working(layout)
    left.journal.write_bytes(left.journal.read_bytes()[:size])
    assert load(layout, blob) == data


def test_a_journal_with_any_byte_flipped_is_harmless(
    layout: Layout, data: bytes
) -> None:
    for offset in (0, 30, 200, 4_096, 4_100, 4_107, 4_130, 4_300):
        blob = InMemoryBlob(data)
        interrupted(layout, blob, after=50_000)
        (left,) = all_working(layout)
        torn = bytearray(left.journal.read_bytes())
        torn[offset] ^= 0x10
        left.journal.write_bytes(torn)
        assert load(layout, blob) == data
        layout.partial(blob.digest).unlink()


def test_after_a_power_cut_only_what_was_flushed_counts(
    layout: Layout, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = InMemoryBlob(data)
    interrupted(layout, blob, after=50_000)
    (left,) = all_working(layout)
    # The machine was started anew, and what was in its memory is gone.
    monkeypatch.setattr("localkit.io.processes.machine", lambda: "0badcafe")
    left.data.write_bytes(bytes(left.data.stat().st_size))
    assert left.n_written() == 0
    assert load(layout, blob) == data
    assert blob.n_sent == SIZE, "nothing of what was not flushed was believed"


def test_a_verified_file_that_changed_is_hashed_and_loaded_again(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data)
    load(layout, blob)
    path = layout.partial(blob.digest)
    path.write_bytes(data[:-1] + b"!")
    assert load(layout, blob) == data
    assert blob.n_sent == 2 * SIZE


def test_a_verified_file_with_a_new_date_is_hashed_not_loaded(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data)
    load(layout, blob)
    layout.partial(blob.digest).touch()
    assert load(layout, blob) == data
    assert blob.n_sent == SIZE


def test_nothing_is_left_of_a_file_that_was_committed(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data)
    with downloaded(layout, blob, limits=FAST) as path:
        assert path.read_bytes() == data
        publish(path, layout.blob(blob.digest))
    assert list(layout.partials.iterdir()) == []
    assert list(layout.staging.iterdir()) == []


def test_a_file_that_was_found_to_be_of_no_use_is_not_kept(
    layout: Layout, data: bytes
) -> None:
    with downloaded(layout, InMemoryBlob(data), limits=FAST) as path:
        path.unlink()
    assert list(layout.partials.iterdir()) == []


def test_S9_a_blob_that_another_brought_in_and_removed_again_is_still_there(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data)
    with downloaded(layout, blob, limits=FAST) as theirs:
        blobs.install(layout, theirs, blob.digest, own_mode=True)
    with downloaded(layout, blob, limits=FAST) as mine:
        blobs.delete(layout, blob.digest)
        assert mine.read_bytes() == data
        blobs.install(layout, mine, blob.digest, own_mode=True)
    assert layout.blob(blob.digest).read_bytes() == data
    assert blob.n_sent == SIZE


def test_a_blob_that_is_the_users_file_as_well_gets_no_further_name(
    layout: Layout, data: bytes, tmp_path: Path
) -> None:
    blob, file = InMemoryBlob(data), tmp_path / "file"
    file.write_bytes(data)
    staged = tmp_path / "staged"
    staged.hardlink_to(file)
    blobs.install(layout, staged, blob.digest, own_mode=False)
    with downloaded(layout, blob, limits=FAST) as path:
        assert path == layout.blob(blob.digest)
    assert blob.n_sent == 0


def test_a_file_that_was_not_committed_is_kept_for_the_next_call(
    layout: Layout, data: bytes
) -> None:
    blob = InMemoryBlob(data)
    for _ in range(2):
        with downloaded(layout, blob, limits=FAST) as path:
            assert path.read_bytes() == data
    assert blob.n_sent == SIZE


def test_without_hard_links_the_file_itself_is_given(
    layout: Layout, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    blob = InMemoryBlob(data)
    with downloaded(layout, blob, limits=FAST) as path:
        assert path == layout.partial(blob.digest)
        with pytest.raises(StoreLocked):
            hold_lock(layout, blob)
        publish(path, layout.blob(blob.digest))
    left = {one.suffix for one in layout.partials.iterdir()}
    assert left == {".lock", ".json"}, "which the next prune removes"
    remove_idle_locks(layout)
    assert list(layout.partials.iterdir()) == []


def hold_lock(layout: Layout, blob: InMemoryBlob) -> None:
    with hold(layout.partial(blob.digest, ".lock"), purpose="a test", timeout_s=0):
        pass
