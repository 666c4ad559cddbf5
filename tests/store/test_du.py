"""What `du` counts, proven against the files, and what `prune` may take."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from localkit.store import Store
from localkit.store.registry import working
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path

DAY = 24 * 3600


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store whose bytes are its own: nothing is hard-linked."""
    store = Store(tmp_path / "models")
    for seed, name in enumerate(("tiny:a", "tiny:b")):
        _adopt(store, name, seed)
    return store


def _adopt(store: Store, name: str, seed: int) -> None:
    with store.staging() as staged:
        write_tiny_llama(staged, seed=seed)
        store.adopt(staged, name)


def _on_disk(store: Store) -> int:
    return sum(path.stat().st_size for path in (store.root / "blobs").iterdir())


def _orphan(store: Store, data: bytes, *, age_s: float = 0) -> Path:
    path = store.root / "blobs" / f"sha256-{hashlib.sha256(data).hexdigest()}"
    path.write_bytes(data)
    _age(path, age_s)
    return path


def _age(path: Path, age_s: float) -> None:
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))


@pytest.fixture
def in_two_days(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two days pass: what is renamed gets the ctime of now, whatever its mtime."""
    assert store.list()
    now = time.time
    monkeypatch.setattr("time.time", lambda: now() + 2 * DAY)


def _holds(store: Store) -> None:
    """Check that the parts of a usage add up to the files."""
    found = store.usage()
    assert found.unshared + found.shared + found.unreferenced == _on_disk(store)
    assert found.blobs == _on_disk(store)
    assert found.unshared == sum(model.unshared for model in found.models)


def test_what_is_shared_unshared_and_unnamed_adds_up_to_the_files(
    store: Store,
) -> None:
    _holds(store)
    store.copy("tiny:a", "copy:a")
    _holds(store)
    _orphan(store, b"nobody's")
    _holds(store)
    a, b, copied = (
        {str(model.ref): model for model in store.usage().models}[name]
        for name in ("tiny:a", "tiny:b", "copy:a")
    )
    size_a = store.resolve("tiny:a").manifest.size
    assert (a.size, a.unshared) == (size_a, 0)
    assert (copied.shared, copied.unshared) == (size_a, 0)
    # Both tiny models have the licence "apache-2.0".
    licence = len(b"apache-2.0")
    assert (b.shared, b.unshared) == (
        licence,
        store.resolve("tiny:b").manifest.size - licence,
    )
    assert store.usage().shared == size_a
    assert store.usage().unreferenced == len(b"nobody's")


@pytest.mark.parametrize("name", ["tiny:a", "tiny:b", "copy:a"])
def test_unshared_bytes_are_what_rm_frees(store: Store, name: str) -> None:
    store.copy("tiny:a", "copy:a")
    usage = {str(model.ref): model for model in store.usage().models}[name]
    before = _on_disk(store)
    assert store.remove(name).freed == usage.unshared - usage.linked
    assert before - _on_disk(store) == usage.unshared


def test_a_hard_linked_file_is_counted_and_said_to_stay(
    store: Store, tmp_path: Path
) -> None:
    path = write_tiny_llama(tmp_path / "mine.gguf", seed=7)
    if store.add(path, "mine:x").method != "hardlink":
        pytest.skip("the file system here does not hard-link")
    mine = {str(model.ref): model for model in store.usage().models}["mine:x"]
    assert mine.linked == path.stat().st_size
    _holds(store)
    assert store.remove("mine:x").freed == mine.unshared - mine.linked


def test_a_damaged_model_counts_nothing_and_its_bytes_are_unnamed(
    store: Store,
) -> None:
    path = store.root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "a"
    path.write_bytes(b"{")
    found = {str(model.ref): model.size for model in store.usage().models}
    assert found["tiny:a"] == 0
    assert store.usage().unreferenced > 0
    _holds(store)


def test_a_missing_blob_is_not_counted(store: Store) -> None:
    store.resolve("tiny:a").weights.unlink()
    _holds(store)


def test_a_newer_ollamas_manifest_blob_belongs_to_its_model(store: Store) -> None:
    old = store.root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "a"
    blob = _orphan(store, old.read_bytes())
    link = store.root / "manifests-v2" / old.relative_to(store.root / "manifests")
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    old.unlink()
    assert store.usage().unreferenced == 0
    _holds(store)


def test_unfinished_bytes_are_those_that_the_disk_holds(store: Store) -> None:
    before = store.usage()
    assert before.unfinished == 0
    partial = store.layout.partial("sha256:" + "1" * 64, ".idle-0000")
    partial.mkdir(parents=True)
    with (partial / "data").open("wb") as stream:
        stream.write(b"x" * 8192)
        stream.truncate(1 << 30)
    (store.root / "blobs" / f"sha256-{'2' * 64}-partial").write_bytes(b"y" * 4096)
    with store.staging() as staged:
        staged.write_bytes(b"z" * 4096)
        found = store.usage()
    assert found.blobs == before.blobs
    assert 16384 <= found.unfinished < 64 << 10
    assert found.total == found.blobs + found.unfinished


def test_du_of_no_store_is_nothing_and_makes_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    assert store.usage().total == 0
    assert store.prune().freed == 0
    assert not store.root.exists()


def test_prune_says_what_it_freed_and_what_was_too_young(store: Store) -> None:
    models = _on_disk(store)
    orphan = _orphan(store, b"nobody's")
    receipt = store.prune()
    assert (receipt.freed, receipt.young, receipt.kept) == (0, len(b"nobody's"), 0)
    assert orphan.exists()
    receipt = store.prune(grace_s=0)
    assert (receipt.freed, receipt.young) == (len(b"nobody's"), 0)
    assert _on_disk(store) == models


@pytest.mark.usefixtures("in_two_days")
def test_a_dry_run_says_the_same_and_changes_nothing(
    store: Store,
) -> None:
    _orphan(store, b"nobody's")
    area = store.layout.staging / "killed"
    area.mkdir()
    (area / "weights").write_bytes(b"x" * 10_000)
    before = sorted((str(p), p.lstat().st_mtime_ns) for p in store.root.rglob("*"))
    said = store.prune(dry_run=True)
    assert sorted((str(p), p.lstat().st_mtime_ns) for p in store.root.rglob("*")) == (
        before
    )
    assert said.freed >= 10_000 + len(b"nobody's")
    assert store.prune() == said
    assert store.usage().unreferenced == store.usage().unfinished == 0


def test_prune_takes_abandoned_downloads_and_leaves_those_of_today(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = "sha256:" + "1" * 64
    whole = store.layout.partial(digest)
    folder = store.layout.partial("sha256:" + "2" * 64, ".idle-0000")
    folder.mkdir(parents=True)
    whole.write_bytes(b"w" * 5000)
    (folder / "data").write_bytes(b"x" * 10_000)
    (folder / "journal").write_bytes(b"{}")
    receipt = store.prune(grace_s=0)
    assert receipt.freed == 0
    assert receipt.unfinished >= 15_000
    assert whole.exists()
    assert (folder / "data").exists()
    now = time.time
    monkeypatch.setattr("time.time", lambda: now() + 2 * DAY)
    receipt = store.prune(grace_s=3 * DAY)
    assert receipt.freed == 0
    receipt = store.prune(grace_s=0)
    assert receipt.freed >= 15_000
    assert receipt.unfinished == 0
    assert not whole.exists()
    assert not folder.exists()


@pytest.mark.usefixtures("in_two_days")
def test_a_download_that_a_process_still_writes_is_left_alone(
    store: Store,
) -> None:
    store.layout.partials.mkdir()
    ours = working.claim(store.layout, "sha256:" + "3" * 64)
    try:
        ours.data.write_bytes(b"x" * 1000)
        assert store.prune(grace_s=0).freed == 0
        assert ours.data.exists()
    finally:
        working.release(store.layout, ours, keep=False)


@pytest.mark.usefixtures("in_two_days")
def test_prune_leaves_ollamas_own_partial_downloads(
    store: Store,
) -> None:
    theirs = store.root / "blobs" / f"sha256-{'2' * 64}-partial"
    theirs.write_bytes(b"half")
    store.prune(grace_s=0)
    assert theirs.read_bytes() == b"half"


def test_while_a_model_is_damaged_prune_keeps_what_it_may_need_and_says_so(
    store: Store,
) -> None:
    path = store.root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "a"
    size = store.resolve("tiny:a").manifest.size - len(b"apache-2.0")
    saved = path.read_bytes()
    path.write_bytes(saved[:-30])
    receipt = store.prune(grace_s=0)
    assert (receipt.freed, receipt.kept) == (0, size)
    assert store.prune(grace_s=0, dry_run=True).kept == size
    path.write_bytes(saved)
    assert all(check.ok for check in store.verify("tiny:a"))


def test_records_go_with_their_blobs(store: Store) -> None:
    assert store.resolve("tiny:a").info.n_layers == 2
    assert list((store.root / ".localkit" / "headers").iterdir())
    store.remove("tiny:a")
    store.remove("tiny:b")
    for folder in ("records", "headers"):
        assert list((store.root / ".localkit" / folder).iterdir()) == []


def test_a_store_that_was_copied_elsewhere_counts_the_same(
    store: Store, tmp_path: Path
) -> None:
    shutil.copytree(store.root, tmp_path / "copy")
    assert Store(tmp_path / "copy").usage() == store.usage()
