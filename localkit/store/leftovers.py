"""What killed and stopped processes left behind, and who may take it away.

Files in the making and partial downloads that nobody has touched for a day are
abandoned. A download that a living process writes is never one, however long its
registry takes.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.store.registry import working as downloads
from localkit.store.registry.abandoned import remove_idle_locks, remove_left

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.store.layout import Layout
    from localkit.store.registry.working import Working

ABANDONED_AFTER_S = 24 * 3600
"""Longer than hashing 300 GB takes on a slow core (123 MiB/s), and a night."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """One file or folder that nobody finished."""

    path: Path
    size: int
    """Bytes that the disk holds for it."""
    abandoned: bool
    """Whether it may be removed."""
    download: Working | None = None
    """Set for a partial download, which is removed by its own rules."""


def leftovers(
    layout: Layout, *, older_than_s: float = ABANDONED_AFTER_S
) -> list[Leftover]:
    """Return everything unfinished, abandoned or not; changes nothing."""
    oldest = time.time() - older_than_s
    working = {one.folder: one for one in downloads.all_working(layout)}
    found = []
    for path in _children(layout.staging, layout.partials):
        newest, size = _age_and_size(path)
        if newest is None or path.suffix in {".lock", ".holder"}:
            continue
        download = working.get(path)
        abandoned = newest < oldest and not (download and download.is_live())
        found.append(Leftover(path, size, abandoned, download))
    return found


def clear(layout: Layout, found: list[Leftover]) -> int:
    """Remove those that are abandoned; return the bytes that this freed."""
    freed = 0
    for one in found:
        if not one.abandoned:
            continue
        if one.path.parent == layout.partials:
            freed += remove_left(layout, one.path)
            continue
        if one.path.is_dir() and not one.path.is_symlink():
            shutil.rmtree(one.path, ignore_errors=True)
        else:
            one.path.unlink(missing_ok=True)
        freed += 0 if one.path.exists() else one.size
    remove_idle_locks(layout)
    return freed


def held(path: Path) -> int:
    """Return the bytes that the disk holds for a file: downloads have holes.

    A file that has a second name elsewhere counts as nothing.
    """
    try:
        stat: os.stat_result = path.lstat()
    except FileNotFoundError:
        return 0
    if stat.st_nlink > 1:
        return 0
    blocks: int | None = getattr(stat, "st_blocks", None)
    return stat.st_size if blocks is None else min(stat.st_size, 512 * blocks)


def _children(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        if folder.is_dir():
            yield from sorted(folder.iterdir())


def _age_and_size(path: Path) -> tuple[float | None, int]:
    """Return when anything in ``path`` last changed, and what the disk holds for it."""
    newest, size = None, 0
    try:
        for one in (path, *path.rglob("*")):
            stat = one.lstat()
            # A hard link keeps its file's old mtime; making it sets its ctime.
            newest = max(newest or 0.0, stat.st_mtime, stat.st_ctime)
            size += held(one) if one.is_file() else 0
    except FileNotFoundError:
        return None, 0
    return newest, size
