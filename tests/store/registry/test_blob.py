from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

from localkit.errors import DigestMismatch, RegistryError
from localkit.store.manifest import MODEL_TYPE, Layer
from localkit.store.registry.blob import HttpBlob
from tests.fixtures.registry import Answer, HostileRegistry, Seen

if TYPE_CHECKING:
    from localkit.store.registry.client import Registry

DATA = os.urandom(100_000)


@pytest.fixture
def blob(hostile: HostileRegistry, client: Registry) -> HttpBlob:
    digest = hostile.add_blob(DATA)
    layer = Layer(media_type=MODEL_TYPE, digest=digest, size=len(DATA))
    return HttpBlob(client, "library/x", layer)


def read(blob: HttpBlob, start: int, end: int | None = None) -> bytes:
    with blob.read(start, end) as reply:
        return bytes(reply.start) + b"".join(reply.chunks)


@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (0, 10), (5, 6), (99_999, None), (50_000, 100_000)]
)
def test_a_range_is_read_and_said_where_it_begins(
    blob: HttpBlob, start: int, end: int | None
) -> None:
    with blob.read(start, end) as reply:
        assert (reply.start, reply.total) == (start, len(DATA))
        assert b"".join(reply.chunks) == DATA[start:end]


def test_a_blob_of_no_bytes_can_be_read(
    hostile: HostileRegistry, client: Registry
) -> None:
    layer = Layer(media_type=MODEL_TYPE, digest=hostile.add_blob(b""), size=0)
    with HttpBlob(client, "library/x", layer).read(0) as reply:
        assert b"".join(reply.chunks) == b""


def test_the_etag_is_handed_on(blob: HttpBlob, hostile: HostileRegistry) -> None:
    hostile.faults.etags = ['"one"', '"two"']
    for etag in ('"one"', '"two"', '"two"'):
        with blob.read(10) as reply:
            assert reply.etag == etag


def test_P2_a_server_that_ignores_the_range_says_that_it_begins_at_0(
    blob: HttpBlob, hostile: HostileRegistry
) -> None:
    hostile.faults.ignore_range = True
    with blob.read(1000) as reply:
        assert reply.start == 0
        assert b"".join(reply.chunks) == DATA


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 0-99999/100000",  # begins elsewhere
        "bytes 1000-99999/100001",  # of something larger
        "bytes 1000-99999/99999",
        "bytes 1000-100000/100000",  # ends later than asked
        "1000-99999/100000",
        "bytes */100000",
        "",
    ],
)
def test_P2_a_range_that_was_not_asked_for_is_refused(
    blob: HttpBlob, hostile: HostileRegistry, content_range: str
) -> None:
    hostile.faults.content_range = content_range or " "
    with pytest.raises(DigestMismatch), blob.read(1000):
        pass


@pytest.mark.parametrize("change", [lambda data: data + b"x", lambda data: data[:-1]])
@pytest.mark.parametrize("start", [0, 1000])
def test_P2_another_size_than_the_manifest_says_is_refused_at_the_head(
    blob: HttpBlob, hostile: HostileRegistry, change: object, start: int
) -> None:
    hostile.faults.change = change  # type: ignore[assignment]
    with pytest.raises(DigestMismatch, match="not 100000"), blob.read(start):
        pass


def test_P2_416_means_that_the_server_has_other_bytes(
    blob: HttpBlob, hostile: HostileRegistry
) -> None:
    hostile.faults.refuse_range = True
    with pytest.raises(DigestMismatch), blob.read(1000):
        pass


def test_P2_a_body_without_a_length_stops_at_the_first_byte_too_many(
    blob: HttpBlob, hostile: HostileRegistry
) -> None:
    hostile.answer("/blobs/", Answer(body=iter([DATA, b"one more"])))
    got = bytearray()
    with pytest.raises(DigestMismatch, match="more than"), blob.read(0) as reply:
        got.extend(itertools.chain.from_iterable(reply.chunks))
    assert len(got) <= len(DATA)


def test_P1_a_connection_that_breaks_is_a_retryable_error(
    blob: HttpBlob, hostile: HostileRegistry
) -> None:
    hostile.faults.drop_every = 30_000
    got = bytearray()
    with pytest.raises(RegistryError, match="broke") as caught, blob.read(0) as reply:
        got.extend(itertools.chain.from_iterable(reply.chunks))
    assert caught.value.retryable
    assert DATA.startswith(bytes(got))


def test_P1_a_stall_is_a_retryable_error(
    blob: HttpBlob, hostile: HostileRegistry
) -> None:
    hostile.faults.stall_after = 30_000
    with pytest.raises(RegistryError, match="stopped") as caught, blob.read(0) as reply:
        for _ in reply.chunks:
            pass
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (403, False), (404, False), (410, False)]
    + [(status, True) for status in (408, 429, 500, 502, 503, 504)],
)
def test_P4_a_status_becomes_a_typed_error(
    blob: HttpBlob, hostile: HostileRegistry, status: int, retryable: bool
) -> None:
    hostile.faults.status = status
    with pytest.raises(RegistryError) as caught, blob.read(0):
        pass
    assert (caught.value.status, caught.value.retryable) == (status, retryable)
    assert len(hostile.requests("/blobs/")) == 1


def test_P4_a_login_page_in_place_of_a_blob_is_called_one(
    blob: HttpBlob, hostile: HostileRegistry
) -> None:
    page = Answer(200, {"Content-Type": "text/html; charset=utf-8"}, b"<p>Log in")
    hostile.answer("/blobs/", page)
    with pytest.raises(RegistryError, match="web page"), blob.read(0):
        pass


def test_P8_packed_bytes_are_refused_unpacked(
    blob: HttpBlob, hostile: HostileRegistry
) -> None:
    hostile.answer("/blobs/", Answer(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b"))
    with pytest.raises(RegistryError, match="packed"), blob.read(0):
        pass
    assert hostile.requests("/blobs/")[0].headers["accept-encoding"] == "identity"


def test_the_store_of_bytes_is_asked_directly_until_its_address_expires(
    blob: HttpBlob, hostile: HostileRegistry
) -> None:
    with HostileRegistry() as cdn:
        cdn.add_blob(DATA)
        n_signed = 0

        def signed(_: Seen) -> Answer:
            nonlocal n_signed
            n_signed += 1
            place = f"{cdn.url}/v2/x/blobs/{blob.digest}?signature={n_signed}"
            return Answer(307, {"Location": place})

        hostile.answer("/blobs/", signed)
        assert read(blob, 0) == DATA
        assert read(blob, 10, 20)[10:] == DATA[10:20]
        assert n_signed == 1
        cdn.answer("signature=1", Answer(403))
        assert read(blob, 0) == DATA
        assert n_signed == 2
        asked = [seen.path[-1] for seen in cdn.requests("/blobs/")]
        assert asked == ["1", "1", "1", "2"]


def test_an_error_in_the_readers_block_is_the_readers(blob: HttpBlob) -> None:
    mine = RegistryError("mine", status=404)
    with pytest.raises(RegistryError) as caught, blob.read(0):
        raise mine
    assert caught.value is mine
