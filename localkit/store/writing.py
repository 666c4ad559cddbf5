"""The frame around every change of a store: folders, one writer, clear refusals."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.io.atomic import make_folders
from localkit.io.disk import explained_write_errors
from localkit.io.locks import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.store.layout import Layout

# Longer than hashing 300 GB takes on a slow core (123 MiB/s): older is abandoned.
_ABANDONED_AFTER_S = 24 * 3600


@contextmanager
def writing(layout: Layout, purpose: str, *, needed: int = 0) -> Iterator[None]:
    """Be the only writer of a store for the length of a with block.

    Args:
        layout: The store.
        purpose: What for, told to whoever waits in vain.
        needed: Bytes that are about to be written.

    Raises:
        StoreLocked: another writer did not finish in time.
        DiskFull: the disk is full.
        StoreError: the store may not be written.
    """
    with explained_write_errors(needed, layout.root):
        make_folders(layout.lock.parent)
        make_folders(layout.staging)
        with hold(layout.lock, purpose=purpose):
            yield


@contextmanager
def staging_area(layout: Layout) -> Iterator[Path]:
    """Give a new folder for files in the making, and remove it at the end.

    Raises:
        DiskFull: the disk is full.
        StoreError: the store may not be written.
    """
    with explained_write_errors(0, layout.root):
        make_folders(layout.staging)
        area = Path(tempfile.mkdtemp(dir=layout.staging))
    try:
        yield area
    finally:
        shutil.rmtree(area, ignore_errors=True)


def remove_abandoned(layout: Layout) -> None:
    """Remove what killed processes left in staging a day ago or longer."""
    if not layout.staging.is_dir():
        return
    oldest = time.time() - _ABANDONED_AFTER_S
    for area in layout.staging.iterdir():
        try:
            # A hard link keeps its file's old mtime; making it sets its ctime.
            newest = max(
                max(stat.st_mtime, stat.st_ctime)
                for stat in (path.lstat() for path in (area, *area.rglob("*")))
            )
        except FileNotFoundError:
            continue
        if newest < oldest:
            if area.is_dir():
                shutil.rmtree(area, ignore_errors=True)
            else:
                area.unlink(missing_ok=True)
