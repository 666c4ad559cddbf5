"""S10: whatever brings a model in, its manifest is the last thing on the disk."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localkit.store import Recipe, Store
from localkit.store.ref import ModelRef
from localkit.store.registry.client import Registry
from localkit.store.registry.pull import pull
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.lora import write_lora
from tests.fixtures.registry import LICENCE_TYPE, MODEL_TYPE, HostileRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.faults


class Disk:
    """What has reached the disk, as a power cut would find it.

    A file's bytes are there once it was flushed, its name once the folder was
    flushed after the renaming.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.flushed: set[int] = set()
        self.named: dict[Path, int] = {}
        """Names given by renaming, and the inode."""
        self.durable: dict[Path, int] = {}
        self.manifests: list[Path] = []
        fsync, replace = os.fsync, os.replace

        def logged_fsync(descriptor: int) -> None:
            fsync(descriptor)
            self.flushed.add(os.fstat(descriptor).st_ino)
            folder = Path(f"/proc/self/fd/{descriptor}").readlink()
            for path, inode in self.named.items():
                if path.parent == folder and inode in self.flushed:
                    self.durable[path] = inode

        def logged_replace(source: Path, target: Path) -> None:
            inode = Path(source).stat().st_ino
            if "manifests" in Path(target).parts:
                self._check(Path(source), Path(target))
                self.manifests.append(Path(target))
            replace(source, target)
            self.named[Path(target)] = inode

        patch.setattr(os, "fsync", logged_fsync)
        patch.setattr(os, "replace", logged_replace)

    def _check(self, source: Path, target: Path) -> None:
        """Hold a manifest that is about to count to what it names."""
        assert source.stat().st_ino in self.flushed, "the manifest was not flushed"
        document = json.loads(source.read_bytes())
        root = target.parents[4]
        for layer in (document["config"], *document["layers"]):
            path = root / "blobs" / layer["digest"].replace(":", "-")
            data = path.read_bytes()
            assert hashlib.sha256(data).hexdigest() == layer["digest"][7:]
            assert path in self.durable, f"{path.name} may be lost"


def _add(store: Store, folder: Path) -> None:
    store.add(write_tiny_llama(folder / "w.gguf"), "tiny:a")


def _adopt(store: Store, folder: Path) -> None:
    with store.staging() as staged:
        write_tiny_llama(staged)
        store.adopt(staged, "tiny:a")


def _create(store: Store, folder: Path) -> None:
    recipe = Recipe(
        weights=write_tiny_llama(folder / "w.gguf"),
        template="{{ .Prompt }}",
        system="Be brief.",
        params={"temperature": 0.5},
        messages=({"role": "user", "content": "hi"},),
        licences=("MIT", "BSD"),
        adapters=(write_lora(folder / "l.gguf"),),
    )
    store.create("tiny:a", recipe)


def _variant_and_copy(store: Store, folder: Path) -> None:
    _add(store, folder)
    base = store.resolve("tiny:a")
    store.create("tiny:b", Recipe(weights=base, system="Be brief."))
    store.copy("tiny:b", "tiny:c")


def _pull(store: Store, folder: Path) -> None:
    weights = write_tiny_llama(folder / "w.gguf").read_bytes()
    with HostileRegistry() as registry:
        layers = [(MODEL_TYPE, weights), (LICENCE_TYPE, b"MIT")]
        registry.add_model("library/tiny", "f16", layers)
        ref = ModelRef.parse(f"{registry.host}/library/tiny:f16")
        with Registry(registry.host, find=lambda _: None) as client:
            pull(store.layout, ref, registry=client)


@pytest.mark.parametrize(
    ("bring", "n_manifests"),
    [(_add, 1), (_adopt, 1), (_create, 1), (_variant_and_copy, 3), (_pull, 1)],
    ids=["add", "adopt", "create", "variant and copy", "pull"],
)
def test_S10_blobs_are_flushed_named_and_durable_before_a_manifest_names_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bring: Callable[[Store, Path], None],
    n_manifests: int,
) -> None:
    disk = Disk(monkeypatch)
    store = Store(tmp_path / "models")
    bring(store, tmp_path)
    assert len(disk.manifests) == n_manifests
    assert set(disk.manifests) <= set(disk.durable)
    for folder in {path.parent for path in disk.durable}:
        # The names of new folders, up to the store's own.
        while folder != tmp_path:
            assert folder.parent.stat().st_ino in disk.flushed
            folder = folder.parent
