"""A disk that is almost full."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def leave_free(disk: Path, n_bytes: int) -> None:
    """Fill the disk but for ``n_bytes``, rounded down to whole pages."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
    with filler.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(1, free - n_bytes))
