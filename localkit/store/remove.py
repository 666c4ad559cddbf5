"""Take models out of the store."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.io.atomic import flush_folder
from localkit.store import catalogue
from localkit.store.collect import collect, older_than, unnamed
from localkit.store.leftovers import ABANDONED_AFTER_S, clear, leftovers
from localkit.store.writing import writing

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
    """What dropping unreferenced blobs and leftovers did, or would do; bytes."""

    freed: int
    """What the disk got back, or would."""
    kept: int
    """In blobs left in place because a damaged model may need them."""
    young: int
    """In blobs that no model names, younger than the grace period."""
    unfinished: int
    """In downloads and files in the making that are not abandoned."""


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


def prune(
    layout: Layout, *, grace_s: float = 3600.0, dry_run: bool = False
) -> PruneReceipt:
    """Drop blobs that no model uses and leftovers of killed processes.

    Args:
        layout: The store.
        grace_s: Blobs younger than this stay: another program that shares the
            store may be about to name them. One hour is Ollama's. Downloads and
            files in the making stay for a day, or the grace period if longer.
        dry_run: Whether to change nothing and only count.

    Raises:
        StoreLocked: another writer did not finish in time.
        StoreError: the store may not be written.
    """
    if not layout.root.is_dir():
        return PruneReceipt(0, 0, 0, 0)
    with nullcontext() if dry_run else writing(layout, "pruning"):
        unreferenced = unnamed(layout)
        old = older_than(layout, grace_s)
        collected = collect(layout, old, dry_run=dry_run)
        unfinished = leftovers(layout, older_than_s=max(ABANDONED_AFTER_S, grace_s))
        abandoned = sum(one.size for one in unfinished if one.abandoned)
        freed = abandoned if dry_run else clear(layout, unfinished)
    return PruneReceipt(
        freed=collected.freed + freed,
        kept=collected.kept,
        young=sum(size for digest, size in unreferenced.items() if digest not in old),
        unfinished=sum(one.size for one in unfinished if not one.abandoned),
    )


def _remove_empty(folder: Path, *, levels: int) -> None:
    with suppress(OSError):
        for _ in range(levels):
            folder.rmdir()
            folder = folder.parent
