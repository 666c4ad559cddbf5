"""Delete blobs that no manifest names any more.

A damaged manifest may name any blob. So while one is in the store, nothing is
deleted: the bytes are reported as kept, and `prune` gets them once the damaged
model was removed or repaired.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from localkit.errors import ManifestInvalid
from localkit.store import blobs
from localkit.store.catalogue import entries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localkit.store.layout import Layout


class Collected(NamedTuple):
    """What deleting unreferenced blobs did."""

    freed: int
    """Bytes the disk got back; a hard-linked blob frees none."""
    kept: int
    """Bytes left in place because a damaged manifest may name them."""


def collect(
    layout: Layout, candidates: Iterable[str], *, dry_run: bool = False
) -> Collected:
    """Delete those of ``candidates`` that no manifest names, or count them.

    The caller holds the store's lock.
    """
    wanted = set(candidates)
    damaged = False
    for entry in entries(layout, fresh=True):
        wanted.difference_update(entry.blob_digests())
        damaged = damaged or isinstance(entry.manifest, ManifestInvalid)
    if damaged:
        here = [path for path in map(layout.blob, wanted) if path.is_file()]
        return Collected(0, sum(path.stat().st_size for path in here))
    free = blobs.freeable if dry_run else blobs.delete
    return Collected(sum(free(layout, digest) for digest in wanted), 0)


def unnamed(layout: Layout) -> dict[str, int]:
    """Return the size of every blob that no readable manifest names."""
    sizes = {
        digest: path.stat().st_size
        for digest, path in layout.all_blobs()
        if path.is_file()
    }
    for entry in entries(layout):
        for digest in entry.blob_digests():
            sizes.pop(digest, None)
    return sizes


def older_than(layout: Layout, seconds: float) -> list[str]:
    """Return the digests of blobs that lie here unchanged for ``seconds``."""
    latest = time.time() - seconds
    found = []
    for digest, path in layout.all_blobs():
        stat = path.lstat()
        # Renaming into place sets ctime; a taken file's mtime may be years old.
        if max(stat.st_mtime, stat.st_ctime) <= latest:
            found.append(digest)
    return found
