"""S9: writers at the same time never take each other's blobs away."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from localkit.errors import ModelNotFound
from localkit.store import Store
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.faults

_N_THREADS = 6
_N_STEPS = 25


def _work(root: Path, files: list[Path], seed: int) -> None:
    """Do what a process would: every step opens the store and locks anew."""
    chance = random.Random(seed)
    for _ in range(_N_STEPS):
        store = Store(root)
        name = f"m:{chance.choice('xyz')}"
        file = chance.choice(files)
        match chance.choice(["add", "adopt", "remove", "resolve", "list", "prune"]):
            case "add":
                assert store.add(file, name).model.weights_digest
            case "adopt":
                with store.staging() as staged:
                    staged.write_bytes(file.read_bytes())
                    store.adopt(staged, name)
            case "remove":
                with suppress(ModelNotFound):
                    store.remove(name)
            case "resolve":
                with suppress(ModelNotFound):
                    store.resolve(name)
            case "list":
                store.list()
            case "prune":
                store.prune()


def test_S9_adding_removing_and_pruning_at_once_leaves_no_damage(
    tmp_path: Path,
) -> None:
    files = [write_tiny_llama(tmp_path / f"{i}.gguf", seed=i) for i in range(3)]
    root = tmp_path / "models"
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            _work(root, files, seed)
        except BaseException as error:  # shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(_N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    store = Store(root)
    assert [line.damaged for line in store.list() if line.damaged] == []
    assert all(check.ok for check in store.verify())
    named = {layer for line in store.list() for layer in _digests(store, str(line.ref))}
    assert {check.digest for check in store.verify()} == named


def _digests(store: Store, ref: str) -> set[str]:
    return {layer.digest for layer in store.resolve(ref).manifest.blobs()}
