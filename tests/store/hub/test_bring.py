"""A quant of a repo into the store: whose bytes they are, and if they are right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from localkit.errors import Cancelled, DigestMismatch, DiskFull, RefError
from localkit.events import CancelToken, Progress
from localkit.store import ModelRef, Store
from localkit.store.hub.bring import HubReceipt, bring, hub_ref
from localkit.store.hub.repo import read_repo
from localkit.store.manifest import LICENCE_TYPE, PROJECTOR_TYPE
from tests.fixtures.gguf import tiny_llama
from tests.fixtures.hub import HubRepo
from tests.fixtures.projector import tiny_projector
from tests.fixtures.splitting import split

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.events import OnProgress
    from tests.fixtures.hub import FakeHub

MODEL = tiny_llama().build()
OTHER = tiny_llama(seed=1).build()


def in_store(
    store: Store,
    label: str = "F16",
    *,
    on_progress: OnProgress = lambda _: None,
    cancel: CancelToken | None = None,
) -> HubReceipt:
    repo = read_repo("org/Tiny")
    quant = repo.named(label)
    return bring(
        store.layout,
        repo,
        quant,
        hub_ref(repo.id, quant),
        projector=repo.projector_for(quant),
        on_progress=on_progress,
        cancel=cancel,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def blobs_in(cache: Path) -> list[Path]:
    return sorted(cache.glob("hub/models--org--Tiny/blobs/*"))


def test_the_cache_and_the_store_hold_the_same_bytes_once(
    hub: FakeHub, store: Store, cache: Path
) -> None:
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL})
    receipt = in_store(store)
    (cached,) = blobs_in(cache)
    assert receipt.model.ref == ModelRef("Tiny", "F16", host="hf.co", namespace="org")
    assert receipt.model.weights.read_bytes() == MODEL
    assert receipt.downloaded == len(MODEL)
    # A reflink where the file system has it; here it is a hard link.
    if receipt.method == "hardlink":
        assert receipt.model.weights.samefile(cached)
    assert receipt.method in ("hardlink", "reflink")
    assert cached.stat().st_mode & 0o200  # its mode is the user's


def test_what_the_cache_has_is_not_downloaded(hub: FakeHub, store: Store) -> None:
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL})
    in_store(store)
    store.remove("hf.co/org/Tiny:F16")
    hub.requests.clear()
    receipt = in_store(store)
    assert receipt.downloaded == 0
    assert [one.path for one in hub.requests] == ["/api/models/org/Tiny?blobs=true"]


def test_what_the_store_has_is_not_downloaded_though_the_cache_lost_it(
    hub: FakeHub, store: Store, cache: Path
) -> None:
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL})
    in_store(store)
    for file in cache.rglob("*"):
        if file.is_file() or file.is_symlink():
            file.unlink()
    receipt = in_store(store)
    assert (receipt.downloaded, receipt.method) == (0, "present")
    assert hub.asked("GET", "/cdn/") == hub.asked("GET", "/cdn/")[:1]


def test_a_file_that_lies_in_git_itself_is_checked_by_its_name_there(
    hub: FakeHub, store: Store
) -> None:
    repo = HubRepo({"Tiny-F16.gguf": MODEL}, in_git={"Tiny-F16.gguf"})
    hub.repos["org/Tiny"] = repo
    assert in_store(store).model.weights.read_bytes() == MODEL


@pytest.mark.faults
@pytest.mark.parametrize("in_git", [False, True])
def test_P3_wrong_bytes_of_the_right_size_never_reach_the_store(
    hub: FakeHub, store: Store, cache: Path, in_git: bool
) -> None:
    name = "Tiny-F16.gguf"
    hub.repos["org/Tiny"] = HubRepo(
        {name: MODEL}, served={name: OTHER}, in_git={name} if in_git else set()
    )
    assert len(OTHER) == len(MODEL)
    with pytest.raises(DigestMismatch, match="hashes to") as caught:
        in_store(store)
    assert store.list() == []
    assert list(store.layout.all_blobs()) == []
    assert str(blobs_in(cache)[0]) in caught.value.hint


@pytest.mark.faults
def test_P2_a_hub_that_offers_other_bytes_than_it_listed_is_refused(
    hub: FakeHub, store: Store, cache: Path
) -> None:
    repo = HubRepo({"Tiny-F16.gguf": MODEL}, etags={"Tiny-F16.gguf": "0" * 64})
    hub.repos["org/Tiny"] = repo
    with pytest.raises(DigestMismatch, match="the hub lists"):
        in_store(store)
    assert blobs_in(cache) == []


def test_S6_an_etag_that_leads_out_of_the_cache_is_refused(
    hub: FakeHub, store: Store, cache: Path
) -> None:
    repo = HubRepo(
        {"Tiny-F16.gguf": MODEL}, etags={"Tiny-F16.gguf": "../../../../planted"}
    )
    hub.repos["org/Tiny"] = repo
    with pytest.raises(DigestMismatch):
        in_store(store)
    assert not list(cache.parent.rglob("planted*"))


def test_a_projector_beside_the_model_comes_along(hub: FakeHub, store: Store) -> None:
    hub.repos["org/Tiny"] = HubRepo(
        {
            "Tiny-F16.gguf": MODEL,
            "mmproj-F32.gguf": tiny_projector(seed=1).build(),
            "mmproj-F16.gguf": tiny_projector(seed=2).build(),
        }
    )
    receipt = in_store(store)
    assert receipt.projector == "mmproj-F16.gguf"
    assert receipt.model.projector is not None
    assert receipt.model.projector.read_bytes() == tiny_projector(seed=2).build()
    assert len(receipt.model.manifest.of_type(PROJECTOR_TYPE)) == 1


def test_a_projector_that_cannot_be_used_is_left_out_and_said(
    hub: FakeHub, store: Store
) -> None:
    wide = tiny_projector(n_embd=128).build()
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL, "mmproj-F16.gguf": wide})
    receipt = in_store(store)
    assert receipt.model.projector is None
    assert receipt.projector is None
    assert "for models of width 128" in receipt.notes[0]


def test_a_split_model_becomes_one_file_that_is_the_whole(
    hub: FakeHub, store: Store, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.gguf"
    whole.write_bytes(MODEL)
    parts = split(whole, tmp_path / "parts", "Tiny-F16", n_parts=3)
    hub.repos["org/Tiny"] = HubRepo(
        {f"F16/{part.name}": part.read_bytes() for part in parts}
    )
    receipt = in_store(store)
    assert receipt.method == "merged"
    assert receipt.model.weights.read_bytes() == MODEL
    assert receipt.downloaded == sum(part.stat().st_size for part in parts)


@pytest.mark.faults
def test_P3_one_wrong_part_of_a_split_model_is_found(
    hub: FakeHub, store: Store, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.gguf"
    whole.write_bytes(MODEL)
    parts = split(whole, tmp_path / "parts", "Tiny-F16", n_parts=2)
    files = {part.name: part.read_bytes() for part in parts}
    wrong = bytearray(files[parts[1].name])
    wrong[-1] ^= 1
    hub.repos["org/Tiny"] = HubRepo(files, served={parts[1].name: bytes(wrong)})
    with pytest.raises(DigestMismatch, match="00002-of-00002"):
        in_store(store)
    assert store.list() == []


@pytest.mark.parametrize(
    ("own", "card", "stored"),
    [("mit", "apache-2.0", b"mit"), (None, "apache-2.0", b"apache-2.0")],
)
def test_the_licence_is_the_files_own_else_the_repos(
    hub: FakeHub, store: Store, own: str | None, card: str, stored: bytes
) -> None:
    model = tiny_llama(metadata={"general.license": own} if own else None)
    if own is None:
        model.keys = [key for key in model.keys if key[0] != "general.license"]
    hub.repos["org/Tiny"] = HubRepo(
        {"Tiny-F16.gguf": model.build()}, card={"license": card}
    )
    (layer,) = in_store(store).model.manifest.of_type(LICENCE_TYPE)
    assert store.layout.blob(layer.digest).read_bytes() == stored


def test_P9_a_download_tells_how_far_it_is_and_stops_when_asked(
    hub: FakeHub, store: Store, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 16 << 10)
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL})
    cancel = CancelToken()
    seen: list[Progress] = []

    def stop_midway(progress: Progress) -> None:
        seen.append(progress)
        if progress.done >= len(MODEL) / 2:
            cancel.cancel()

    with pytest.raises(Cancelled, match=r"downloading Tiny-F16\.gguf"):
        in_store(store, on_progress=stop_midway, cancel=cancel)
    assert [one.total for one in seen] == [len(MODEL)] * len(seen)
    assert 1 < len(seen) < len(MODEL) / (16 << 10)
    assert store.list() == []
    assert blobs_in(cache) == []
    assert in_store(store).model.weights.read_bytes() == MODEL


@pytest.mark.faults
def test_P1_a_dropped_connection_is_taken_up_where_it_was(
    hub: FakeHub,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # The library waits a second before it asks again.
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 16 << 10)
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL})
    hub.drop_after = 50_000
    hub.signature = "?X-Amz-Signature=5ecret"
    assert in_store(store).model.weights.read_bytes() == MODEL
    asked = [one.headers.get("range") for one in hub.asked("GET", "/cdn/")]
    # Whole chunks are kept: three of 16 KiB each time.
    assert asked == [None, "bytes=49152-", "bytes=98304-"]
    # The library says that it tries again, without the signature of the address.
    assert "Trying to resume" in caplog.text
    assert "5ecret" not in caplog.text


@pytest.mark.faults
def test_S3_two_that_pull_the_same_quant_download_it_once(
    hub: FakeHub, store: Store
) -> None:
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL})
    with ThreadPoolExecutor(2) as threads:
        receipts = list(threads.map(lambda _: in_store(store), range(2)))
    assert receipts[0].model.digest == receipts[1].model.digest
    assert len(hub.asked("GET", "/cdn/")) == 1
    assert [str(one.ref) for one in store.list()] == ["hf.co/org/Tiny:F16"]


@pytest.mark.faults
def test_S2_a_cache_without_room_is_said_before_a_byte_comes(
    hub: FakeHub, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localkit.io.disk.free_bytes", lambda _: 1000)
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL})
    with pytest.raises(DiskFull, match="free"):
        in_store(store)
    assert hub.asked("GET", "/cdn/") == []


def test_a_repo_whose_name_is_no_ref_asks_for_one(hub: FakeHub) -> None:
    long = "org/" + "m" * 90
    hub.repos[long] = HubRepo({"M-F16.gguf": MODEL})
    repo = read_repo(long)
    with pytest.raises(RefError, match="cannot be stored under its own name") as caught:
        hub_ref(repo.id, repo.quants[0])
    assert "NAME" in caught.value.hint
