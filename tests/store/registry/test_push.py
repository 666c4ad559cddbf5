from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from localkit.errors import (
    BlobCorrupt,
    Cancelled,
    ModelNotFound,
    RefError,
    RegistryError,
)
from localkit.events import CancelToken, Progress
from localkit.store import Store
from localkit.store.manifest import MODEL_TYPE, Layer
from localkit.store.ref import ModelRef
from localkit.store.registry.push import PushReceipt, push
from localkit.store.registry.upload import Upload
from tests.fixtures.registry import Answer, HostileRegistry, Seen, digest_of
from tests.store.registry.conftest import FAST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localkit.events import OnProgress
    from localkit.store.layout import Layout
    from localkit.store.registry.client import Registry

CHUNK = 40_000


@pytest.fixture
def store(tmp_path: Path, tiny_gguf: Path) -> Store:
    store = Store(tmp_path / "pushing")
    store.add(tiny_gguf, "tiny:f16")
    return store


@pytest.fixture
def pushed(
    store: Store, client: Registry, hostile: HostileRegistry
) -> Callable[..., PushReceipt]:
    def run(
        *, on_progress: OnProgress = lambda _: None, cancel: CancelToken | None = None
    ) -> PushReceipt:
        return push(
            store.layout,
            ModelRef.parse("tiny:f16"),
            ModelRef.parse(f"{hostile.host}/me/tiny:f16"),
            registry=client,
            pace=FAST,
            chunk_size=CHUNK,
            on_progress=on_progress,
            cancel=cancel,
        )

    return run


def blobs_of(store: Store) -> dict[str, bytes]:
    return {digest: path.read_bytes() for digest, path in store.layout.all_blobs()}


def test_a_pushed_model_is_there_with_its_manifest_verbatim(
    pushed: Callable[..., PushReceipt], store: Store, hostile: HostileRegistry
) -> None:
    receipt = pushed()
    assert hostile.blobs == blobs_of(store)
    assert digest_of(hostile.manifests["me/tiny", "f16"]) == receipt.digest
    assert receipt.digest == store.resolve("tiny:f16").digest
    assert receipt.sent == receipt.size


def test_pushing_again_sends_no_blob(
    pushed: Callable[..., PushReceipt], hostile: HostileRegistry
) -> None:
    pushed()
    receipt = pushed()
    assert (receipt.n_missing, receipt.sent) == (0, 0)
    assert len(hostile.requests("/manifests/", "PUT")) == 2


def test_a_large_blob_goes_in_pieces_that_follow_each_other(
    pushed: Callable[..., PushReceipt], store: Store, hostile: HostileRegistry
) -> None:
    size = store.resolve("tiny:f16").weights.stat().st_size
    pushed()
    ranges = [
        seen.headers["content-range"] for seen in hostile.requests("uploads", "PATCH")
    ]
    ends = [*range(CHUNK, size, CHUNK), size]
    wanted = [f"{end - (end - 1) % CHUNK - 1}-{end - 1}" for end in ends]
    assert [one for one in ranges if one in wanted] == wanted


def test_progress_of_a_push_ends_at_the_whole(
    pushed: Callable[..., PushReceipt], hostile: HostileRegistry
) -> None:
    seen: list[Progress] = []
    pushed(on_progress=seen.append)
    steps = list(dict.fromkeys(report.step for report in seen))
    assert steps[0] == "retrieving manifest"
    assert set(steps[1:-1]) == {f"pushing {digest[7:19]}" for digest in hostile.blobs}
    assert steps[-1] == "pushing manifest"
    for step in steps[1:-1]:
        last = [report for report in seen if report.step == step][-1]
        assert last.done == last.total


def test_a_piece_that_failed_is_sent_again_from_what_the_registry_kept(
    pushed: Callable[..., PushReceipt], store: Store, hostile: HostileRegistry
) -> None:
    hostile.answer("/uploads/", Answer(503), method="PATCH", times=2)
    pushed()
    assert hostile.blobs == blobs_of(store)
    assert len(hostile.requests("/uploads/", "GET")) == 2


def test_P4_a_registry_that_fails_for_good_is_tried_six_times(
    pushed: Callable[..., PushReceipt], hostile: HostileRegistry
) -> None:
    hostile.answer("/uploads/", Answer(500, body=b"no room"), method="PATCH")
    waits: list[Progress] = []
    with pytest.raises(RegistryError, match="no room") as caught:
        pushed(on_progress=waits.append)
    assert caught.value.status == 500
    assert len(hostile.requests("/uploads/", "PATCH")) == 6
    assert sum(report.step.startswith("waiting") for report in waits) == 5
    assert hostile.manifests == {}


def test_an_upload_that_was_stopped_goes_on_where_it_was(
    pushed: Callable[..., PushReceipt], store: Store, hostile: HostileRegistry
) -> None:
    cancel = CancelToken()

    def stop(report: Progress) -> None:
        if report.unit == "B" and report.done > 2 * CHUNK:
            cancel.cancel()

    with pytest.raises(Cancelled):
        pushed(on_progress=stop, cancel=cancel)
    receipt = pushed()
    assert hostile.blobs == blobs_of(store)
    assert receipt.sent < receipt.size
    assert not list((store.root / ".localkit" / "uploads").iterdir())


def test_an_upload_that_the_registry_forgot_begins_again(
    pushed: Callable[..., PushReceipt], store: Store, hostile: HostileRegistry
) -> None:
    cancel = CancelToken()

    def stop(report: Progress) -> None:
        if report.unit == "B" and report.done > CHUNK:
            cancel.cancel()

    with pytest.raises(Cancelled):
        pushed(on_progress=stop, cancel=cancel)
    hostile.uploads.clear()
    pushed()
    assert hostile.blobs == blobs_of(store)


def test_an_upload_that_is_lost_with_the_connection_begins_again(
    pushed: Callable[..., PushReceipt], store: Store, hostile: HostileRegistry
) -> None:
    def forget(_: Seen) -> Answer:
        hostile.uploads.clear()
        return Answer(503)

    hostile.answer("/uploads/", forget, method="PATCH", times=3)
    said: list[Progress] = []
    pushed(on_progress=said.append)
    assert hostile.blobs == blobs_of(store)
    assert sum("again: " in report.step for report in said) == 3


def test_a_resumed_upload_with_other_bytes_in_it_begins_again(
    tmp_path: Path, client: Registry, hostile: HostileRegistry, layout: Layout
) -> None:
    data = os.urandom(3 * CHUNK)
    layer = Layer(media_type=MODEL_TYPE, digest=digest_of(data), size=len(data))
    layout.blobs.mkdir(parents=True)
    layout.blob(layer.digest).write_bytes(data)
    hostile.uploads["bad"] = bytearray(b"x" * CHUNK)

    def upload() -> Upload:
        return Upload(
            layout,
            layer,
            client,
            "me/x",
            pace=FAST,
            chunk_size=CHUNK,
            on_progress=lambda _: None,
            cancel=None,
        )

    first = upload()
    first._location = "/v2/me/x/blobs/uploads/bad"
    first._remember()
    upload().run()
    assert hostile.blobs == {layer.digest: data}


def test_a_registry_that_keeps_nothing_is_not_fed_for_ever(
    pushed: Callable[..., PushReceipt], hostile: HostileRegistry
) -> None:
    def keep_nothing(seen: Seen) -> Answer:
        return Answer(202, {"Location": seen.path, "Range": "0-0"})

    hostile.answer("/uploads/", keep_nothing, method="PATCH")
    hostile.answer("/uploads/", Answer(204, {"Range": "0-0"}), method="GET")
    with pytest.raises(RegistryError, match="keeps none"):
        pushed()


def test_a_blob_known_to_be_corrupt_is_not_sent(
    pushed: Callable[..., PushReceipt], store: Store, hostile: HostileRegistry
) -> None:
    weights = store.resolve("tiny:f16").weights
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.unlink()
    weights.write_bytes(data)
    with pytest.raises(BlobCorrupt):
        pushed()
    assert hostile.seen == []


def test_a_push_of_nothing_names_what_is_near(store: Store, client: Registry) -> None:
    with pytest.raises(ModelNotFound):
        push(store.layout, ModelRef.parse("tinny:f16"), registry=client)


def test_a_push_to_a_digest_is_refused(store: Store, client: Registry) -> None:
    target = ModelRef.parse(f"tiny@sha256:{'0' * 64}")
    with pytest.raises(RefError, match="names a digest"):
        push(store.layout, ModelRef.parse("tiny:f16"), target, registry=client)


def test_P7_an_upload_is_not_redirected(
    pushed: Callable[..., PushReceipt], hostile: HostileRegistry
) -> None:
    with HostileRegistry() as other:
        elsewhere = Answer(307, {"Location": f"{other.url}/catch"})
        hostile.answer("/uploads/", elsewhere, method="PATCH")
        with pytest.raises(RegistryError, match="redirects a PATCH"):
            pushed()
        assert other.seen == []
