from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from localkit.errors import (
    Cancelled,
    DigestMismatch,
    GGUFError,
    ManifestInvalid,
    RegistryError,
    SourceNotFound,
    StoreError,
)
from localkit.events import CancelToken, Progress
from localkit.store import catalogue
from localkit.store.ref import ModelRef
from localkit.store.registry.pull import PullReceipt, pull
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.registry import LICENCE_TYPE, MODEL_TYPE, Answer

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.layout import Layout
    from localkit.store.registry.client import Registry
    from tests.fixtures.registry import HostileRegistry


def pulled(layout: Layout, ref: str, client: Registry) -> PullReceipt:
    return pull(layout, ModelRef.parse(ref), registry=client)


def test_a_pulled_model_is_stored_with_its_manifest_verbatim(
    layout: Layout, tiny: str, client: Registry, hostile: HostileRegistry
) -> None:
    receipt = pulled(layout, tiny, client)
    entry = catalogue.find(layout, ModelRef.parse(tiny))
    assert entry.path.read_bytes() == hostile.manifests["library/tiny", "f16"]
    assert receipt.n_missing == 3
    assert receipt.model.info.architecture == "llama"
    assert {digest for digest, _ in layout.all_blobs()} == set(hostile.blobs)


def test_pulling_again_moves_no_blob(
    layout: Layout, tiny: str, client: Registry, hostile: HostileRegistry
) -> None:
    pulled(layout, tiny, client)
    before = hostile.blob_bytes_sent
    receipt = pulled(layout, tiny, client)
    assert receipt.up_to_date
    assert hostile.blob_bytes_sent == before


def test_a_tag_that_moved_on_brings_in_what_changed_and_nothing_else(
    layout: Layout,
    tiny: str,
    client: Registry,
    hostile: HostileRegistry,
    tmp_path: Path,
) -> None:
    pulled(layout, tiny, client)
    (weights,) = (data for data in hostile.blobs.values() if data[:4] == b"GGUF")
    hostile.add_model(
        "library/tiny", "f16", [(MODEL_TYPE, weights), (LICENCE_TYPE, b"Apache-2.0")]
    )
    receipt = pulled(layout, tiny, client)
    assert (receipt.n_missing, receipt.missing) == (1, len(b"Apache-2.0"))
    assert receipt.model.licence == "Apache-2.0"


def test_the_steps_are_called_as_ollama_calls_them(
    layout: Layout, tiny: str, client: Registry, hostile: HostileRegistry
) -> None:
    seen: list[Progress] = []
    pull(layout, ModelRef.parse(tiny), registry=client, on_progress=seen.append)
    steps = list(dict.fromkeys(report.step for report in seen))
    blobs = {f"pulling {digest[7:19]}" for digest in hostile.blobs}
    assert steps[0] == "pulling manifest"
    assert set(steps[1:-2]) == blobs
    assert steps[-2:] == ["verifying", "writing manifest"]
    for step in blobs:
        last = [report for report in seen if report.step == step][-1]
        assert (last.done, last.unit) == (last.total, "B")


def test_a_digest_without_a_tag_is_kept_under_its_own_digits(
    layout: Layout, tiny: str, client: Registry
) -> None:
    digest = pulled(layout, tiny, client).model.digest
    bare = tiny.removesuffix(":f16")
    receipt = pulled(layout, f"{bare}@{digest}", client)
    assert receipt.model.ref.tag == digest[7:19]
    assert receipt.up_to_date


def test_a_registry_without_manifests_by_digest_is_asked_for_the_tag(
    layout: Layout, tiny: str, client: Registry, hostile: HostileRegistry
) -> None:
    digest = pulled(layout, tiny, client).model.digest
    del hostile.manifests["library/tiny", digest]
    assert pulled(layout, f"{tiny}@{digest}", client).model.digest == digest


def test_a_pinned_tag_that_moved_on_is_refused_with_both_digests(
    layout: Layout, tiny: str, client: Registry, hostile: HostileRegistry
) -> None:
    digest = pulled(layout, tiny, client).model.digest
    hostile.add_model("library/tiny", "f16", [(MODEL_TYPE, b"other")])
    del hostile.manifests["library/tiny", digest]
    with pytest.raises(DigestMismatch, match=digest):
        pulled(layout, f"{tiny}@{digest}", client)


def test_another_manifest_than_the_pinned_one_is_refused(
    layout: Layout, tiny: str, client: Registry, hostile: HostileRegistry
) -> None:
    digest = f"sha256:{'ab' * 32}"
    hostile.manifests["library/tiny", digest] = hostile.manifests["library/tiny", "f16"]
    with pytest.raises(DigestMismatch, match=digest):
        pulled(layout, f"{tiny}@{digest}", client)
    assert list(catalogue.entries(layout)) == []


def test_a_model_can_be_kept_under_another_ref(
    layout: Layout, tiny: str, client: Registry
) -> None:
    into = ModelRef.parse("mine:small")
    receipt = pull(layout, ModelRef.parse(tiny), into, registry=client)
    assert receipt.model.ref == into


def test_G1_weights_that_may_not_be_loaded_are_refused_with_their_reason(
    layout: Layout, client: Registry, hostile: HostileRegistry, tmp_path: Path
) -> None:
    whole = write_tiny_llama(tmp_path / "cut.gguf").read_bytes()
    hostile.add_model("library/cut", "latest", [(MODEL_TYPE, whole[: len(whole) // 2])])
    with pytest.raises(GGUFError):
        pulled(layout, f"{hostile.host}/library/cut", client)
    assert list(catalogue.entries(layout)) == []
    assert not any(path.is_file() for path in layout.blobs.rglob("*"))


def test_a_model_without_gguf_is_refused_before_anything_is_downloaded(
    layout: Layout, client: Registry, hostile: HostileRegistry
) -> None:
    kind = "application/vnd.ollama.image.tensor"
    hostile.add_model("library/mlx", "latest", [(kind, b"x" * 100)])
    with pytest.raises(StoreError, match="has no GGUF: it holds tensor"):
        pulled(layout, f"{hostile.host}/library/mlx", client)
    assert hostile.blob_bytes_sent == 0


def test_a_model_that_is_not_there_is_named(
    layout: Layout, client: Registry, hostile: HostileRegistry
) -> None:
    with pytest.raises(SourceNotFound, match="has no 'library/none' with tag latest"):
        pulled(layout, f"{hostile.host}/library/none", client)


def test_P3_wrong_bytes_of_a_blob_never_become_a_model(
    layout: Layout, tiny: str, client: Registry, hostile: HostileRegistry
) -> None:
    hostile.faults.change = lambda data: data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(DigestMismatch):
        pulled(layout, tiny, client)
    assert list(catalogue.entries(layout)) == []
    assert list(layout.all_blobs()) == []


def test_S5_a_blob_that_rotted_is_replaced_and_only_it(
    layout: Layout, tiny: str, client: Registry, hostile: HostileRegistry
) -> None:
    model = pulled(layout, tiny, client).model
    model.weights.chmod(0o644)
    data = bytearray(model.weights.read_bytes())
    data[-1] ^= 1
    model.weights.write_bytes(data)
    receipt = pulled(layout, tiny, client)
    assert (receipt.n_missing, receipt.missing) == (1, len(data))
    assert model.weights.read_bytes() == hostile.blobs[model.weights_digest]


def test_P9_a_pull_that_was_stopped_leaves_no_model(
    layout: Layout, tiny: str, client: Registry
) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        pull(layout, ModelRef.parse(tiny), registry=client, cancel=cancel)
    assert list(catalogue.entries(layout)) == []


def test_P4_a_refused_blob_is_a_typed_error_and_no_model(
    layout: Layout, tiny: str, client: Registry, hostile: HostileRegistry
) -> None:
    hostile.faults.status = 403
    with pytest.raises(RegistryError, match="does not allow it") as caught:
        pulled(layout, tiny, client)
    assert caught.value.status == 403
    assert list(catalogue.entries(layout)) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"<html><body>log in</body></html>",
        b"[" * 100,
        json.dumps({"schemaVersion": 1}).encode(),
        b'{"schemaVersion":2,"schemaVersion":2}',
    ],
)
def test_S8_what_is_no_manifest_is_refused(
    layout: Layout, client: Registry, hostile: HostileRegistry, data: bytes
) -> None:
    hostile.add_manifest("library/bad", "latest", data)
    with pytest.raises(ManifestInvalid) as caught:
        pulled(layout, f"{hostile.host}/library/bad", client)
    assert "nothing was kept" in caught.value.hint
    assert not layout.root.exists()


def test_a_login_page_in_place_of_a_manifest_is_called_one(
    layout: Layout, client: Registry, hostile: HostileRegistry
) -> None:
    hostile.answer("/manifests/", Answer(200, {"Content-Type": "text/html"}, b"<p>Hi"))
    with pytest.raises(RegistryError, match="web page"):
        pulled(layout, f"{hostile.host}/library/any", client)
