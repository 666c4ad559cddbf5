"""Remove downloads that nobody goes on with, and what beside them means nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.io.locks import try_hold
from localkit.store.registry.whole import forget_whole
from localkit.store.registry.working import (
    Working,
    all_working,
    digest_of_partial,
    remove,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.store.layout import Layout


def remove_left(layout: Layout, path: Path) -> int:
    """Remove an unfinished or uncommitted download; return the bytes that this frees.

    Nothing that a live process loads or is about to commit: that holds its lock.

    Args:
        layout: The store.
        path: Something in `Layout.partials`.
    """
    digest = digest_of_partial(path)
    if digest is None:
        return 0
    with try_hold(layout.partial(digest, ".lock"), purpose="pruning") as held:
        if not held:
            return 0
        if path.is_dir():
            working = Working(path, digest)
            return 0 if working.is_live() else remove(layout, working)
        return forget_whole(layout, digest)


def remove_idle_locks(layout: Layout) -> None:
    """Remove the locks and notes of downloads that there are none of any more."""
    for digest in sorted(set(_locked(layout))):
        lock = layout.partial(digest, ".lock")
        with try_hold(lock, purpose="pruning") as held:
            if (
                held
                and not layout.partial(digest).exists()
                and not any(all_working(layout, digest))
            ):
                forget_whole(layout, digest)
                lock.unlink(missing_ok=True)


def _locked(layout: Layout) -> Iterator[str]:
    if layout.partials.is_dir():
        for path in layout.partials.iterdir():
            digest = digest_of_partial(path)
            if digest and path.suffix in {".lock", ".holder", ".json"}:
                yield digest
