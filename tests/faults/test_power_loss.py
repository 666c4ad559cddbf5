"""S10: what a manifest names is on the disk before the manifest is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from localkit.store import Store
from tests.fixtures.gguf import write_tiny_llama

pytestmark = pytest.mark.faults


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Record what is flushed and renamed, in order."""
    events: list[tuple[str, Path]] = []
    fsync, replace = os.fsync, os.replace

    def logged_fsync(descriptor: int) -> None:
        fsync(descriptor)
        events.append(("flush", Path(f"/proc/self/fd/{descriptor}").readlink()))

    def logged_replace(source: Path, target: Path) -> None:
        replace(source, target)
        events.append(("from", Path(source)))
        events.append(("to", Path(target)))

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    return events


def test_S10_each_file_is_flushed_named_and_its_folder_flushed_then_the_manifest(
    tmp_path: Path, log: list[tuple[str, Path]]
) -> None:
    source = write_tiny_llama(
        tmp_path / "a.gguf", metadata={"general.license": "apache-2.0"}
    )
    store = Store(tmp_path / "models")
    model = store.add(source, "tiny:a").model
    manifest = (
        store.root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "a"
    )
    named = [path for event, path in log if event == "to"]
    assert named[-1] == manifest
    blobs = [path for path in named if path.parent == store.root / "blobs"]
    assert blobs[0] == model.weights
    assert len(blobs) == len(list(model.manifest.blobs()))
    for path in [*blobs, manifest]:
        at = log.index(("to", path))
        assert log[at - 1][0] == "from"
        assert log[at - 2] == ("flush", log[at - 1][1])
        assert log[at + 1] == ("flush", path.parent)
    before_manifest = log[: log.index(("to", manifest))]
    for folder in (store.root, store.root / "blobs", *list(manifest.parents)[:4]):
        assert ("flush", folder) in log
        assert ("flush", folder.parent) in before_manifest


def test_S10_a_ref_is_gone_for_good_before_its_blobs_are_deleted(
    tmp_path: Path, log: list[tuple[str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "models")
    weights = store.add(write_tiny_llama(tmp_path / "a.gguf"), "tiny:a").model.weights
    log.clear()
    unlink = os.unlink

    def logged_unlink(path: Path, **options: int | None) -> None:
        unlink(path, **options)
        log.append(("delete", Path(path)))

    monkeypatch.setattr(os, "unlink", logged_unlink)
    store.remove("tiny:a")
    folder = store.root / "manifests" / "registry.ollama.ai" / "library" / "tiny"
    gone = log.index(("delete", folder / "a"))
    assert log[gone + 1] == ("flush", folder)
    assert log.index(("delete", weights)) > gone + 1
