"""The download over real HTTP, from a registry that misbehaves."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from localkit.errors import Cancelled, DigestMismatch, RegistryError
from localkit.events import CancelToken
from localkit.store.manifest import MODEL_TYPE, Layer
from localkit.store.registry.blob import HttpBlob
from localkit.store.registry.client import RECEIVE_BUFFER
from localkit.store.registry.download import download
from localkit.store.registry.limits import Limits
from localkit.store.registry.working import all_working
from tests.fixtures.registry import Faults
from tests.store.registry.in_memory import random_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.store.layout import Layout
    from localkit.store.registry.client import Registry
    from tests.fixtures.registry import HostileRegistry

SIZE = 600_000
DATA = random_bytes(SIZE)
FAST = Limits(
    n_streams=3, part_size=150_000, stall_s=0.2, first_wait_s=0.001, longest_wait_s=0.01
)


@pytest.fixture
def blob(hostile: HostileRegistry, client: Registry) -> HttpBlob:
    layer = Layer(media_type=MODEL_TYPE, digest=hostile.add_blob(DATA), size=SIZE)
    return HttpBlob(client, "library/tiny", layer)


def load(layout: Layout, blob: HttpBlob) -> bytes:
    return download(layout, blob, limits=FAST).read_bytes()


def test_each_part_is_one_request_and_connections_are_used_again(
    hostile: HostileRegistry, layout: Layout, blob: HttpBlob
) -> None:
    assert load(layout, blob) == DATA
    assert hostile.blob_bytes_sent == SIZE
    assert len(hostile.ranges()) == 4
    assert hostile.n_connections <= 3


def test_P1_fifty_dropped_connections(
    hostile: HostileRegistry, layout: Layout, blob: HttpBlob
) -> None:
    # Every connection is reset after so little that more than fifty are needed.
    hostile.faults = Faults(drop_every=10_000)
    assert load(layout, blob) == DATA
    assert len(hostile.ranges()) > 50
    # A reset may take bytes along that were on their way.
    assert hostile.blob_bytes_sent < 1.5 * SIZE


def test_P1_a_stall_in_the_middle_of_a_body(
    hostile: HostileRegistry, layout: Layout, blob: HttpBlob
) -> None:
    hostile.faults = Faults(stall_after=40_000)
    threading.Timer(0.5, setattr, (hostile.faults, "stall_after", None)).start()
    begun = time.monotonic()
    assert load(layout, blob) == DATA
    assert time.monotonic() - begun < 10


WRONG: dict[str, tuple[Faults, bool]] = {
    "ignores ranges": (Faults(ignore_range=True), True),
    "a Content-Range of other bytes": (
        Faults(content_range=f"bytes 7-150006/{SIZE}"),
        True,
    ),
    "a Content-Range of another size": (
        Faults(content_range=f"bytes 0-149999/{SIZE + 1}"),
        True,
    ),
    "another version once": (Faults(etags=['"a"', '"a"', '"b"']), True),
    "416": (Faults(refuse_range=True), True),
    "one byte more": (Faults(change=lambda data: data + b"!"), False),
    "one byte less": (Faults(change=lambda data: data[:-1]), False),
    "much more": (Faults(change=lambda data: data * 20), False),
    "none at all": (Faults(change=lambda _: b""), False),
}


@pytest.mark.parametrize("wrong", list(WRONG))
def test_P2_the_blob_is_loaded_anew_and_never_spliced(
    hostile: HostileRegistry, layout: Layout, blob: HttpBlob, wrong: str
) -> None:
    """Where the server has the right bytes they come whole; else nothing is kept."""
    hostile.faults, mends = WRONG[wrong]
    if mends:
        assert load(layout, blob) == DATA
        return
    with pytest.raises(DigestMismatch, match="came wrong twice"):
        load(layout, blob)
    assert not layout.partial(blob.digest).exists()
    assert not list(all_working(layout))
    # What lay in buffers was sent as well; it is not asked for on and on.
    assert hostile.blob_bytes_sent < 2 * SIZE + 8 * RECEIVE_BUFFER


def _flip(at: int) -> Callable[[bytes], bytes]:
    def flipped(data: bytes) -> bytes:
        wrong = bytearray(data)
        wrong[at] ^= 1
        return bytes(wrong)

    return flipped


@pytest.mark.parametrize("at", [0, SIZE // 2, SIZE - 1])
def test_P3_one_flipped_bit_is_loaded_again_once_and_never_visible(
    hostile: HostileRegistry, layout: Layout, blob: HttpBlob, at: int
) -> None:
    hostile.faults = Faults(change=_flip(at))
    with pytest.raises(DigestMismatch, match="came wrong twice"):
        load(layout, blob)
    assert hostile.blob_bytes_sent == 2 * SIZE
    assert not layout.partial(blob.digest).exists()
    assert not list(all_working(layout))


def test_P4_a_server_that_is_always_busy_is_asked_a_few_times(
    hostile: HostileRegistry, layout: Layout, blob: HttpBlob
) -> None:
    hostile.faults = Faults(status=503)
    with pytest.raises(RegistryError, match="503"):
        load(layout, blob)
    assert len(hostile.ranges()) <= 3 * FAST.n_tries


def test_P9_cancelled_it_stops_within_a_second_and_goes_on_later(
    hostile: HostileRegistry, layout: Layout, blob: HttpBlob
) -> None:
    hostile.faults = Faults(stall_after=50_000)
    cancel = CancelToken()
    limits = Limits(n_streams=3, part_size=150_000, stall_s=30.0)
    timer = threading.Timer(0.3, cancel.cancel)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        download(layout, blob, limits=limits, cancel=cancel)
    assert time.monotonic() - begun < 1.3
    (left,) = all_working(layout)
    kept = left.n_written()
    assert kept >= 3 * 32_000
    hostile.faults = Faults()
    hostile.blob_bytes_sent = 0
    assert load(layout, blob) == DATA
    assert hostile.blob_bytes_sent == SIZE - kept
