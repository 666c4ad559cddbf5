"""Take models out of the store."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.io.atomic import flush_folder
from localkit.store import catalogue
from localkit.store.collect import collect, older_than
from localkit.store.writing import remove_abandoned, writing

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.layout import Layout
    from localkit.store.ref import ModelRef


@dataclass(frozen=True, slots=True)
class RemoveReceipt:
    """What removing a model did."""

    ref: ModelRef
    freed: int
    """Bytes the disk got back. Layers that other models use, and files that the
    user still has under another name, free none."""
    kept: int
    """Bytes left in place because a damaged model may need them."""


@dataclass(frozen=True, slots=True)
class PruneReceipt:
    """What dropping unreferenced blobs did."""

    freed: int
    """Bytes the disk got back."""
    kept: int
    """Bytes left in place because a damaged model may need them."""


def remove(layout: Layout, ref: ModelRef) -> RemoveReceipt:
    """Drop a ref, and the blobs that no other model uses.

    A damaged model is removed too: that is its repair. On Linux and macOS a
    session that has the weights loaded is not disturbed.

    Raises:
        ModelNotFound: no such model, or several tags and none named.
        StoreLocked: another writer did not finish in time.
        StoreError: the store may not be written.
    """
    catalogue.find(layout, ref)  # before a lock file is made for nothing
    with writing(layout, f"removing {ref}"):
        entry = catalogue.find(layout, ref)
        candidates: set[str] = set()
        for path in layout.manifests_of(entry.ref):
            candidates.update(catalogue.read_entry(entry.ref, path).blob_digests())
            path.unlink()
            flush_folder(path.parent)
            _remove_empty(path.parent, levels=3)
        collected = collect(layout, candidates)
    return RemoveReceipt(entry.ref, collected.freed, collected.kept)


def prune(layout: Layout, *, grace_s: float = 3600.0) -> PruneReceipt:
    """Drop blobs that no model uses and leftovers of killed processes.

    Args:
        layout: The store.
        grace_s: Blobs younger than this stay: another program that shares the
            store may be about to name them. One hour is Ollama's.

    Raises:
        StoreLocked: another writer did not finish in time.
        StoreError: the store may not be written.
    """
    with writing(layout, "pruning"):
        remove_abandoned(layout)
        collected = collect(layout, older_than(layout, grace_s))
    return PruneReceipt(collected.freed, collected.kept)


def _remove_empty(folder: Path, *, levels: int) -> None:
    with suppress(OSError):
        for _ in range(levels):
            folder.rmdir()
            folder = folder.parent
