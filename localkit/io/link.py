"""Take a file over without copying its bytes, where the file system allows.

Tried in this order:

1. **reflink** (Linux FICLONE: btrfs, XFS, bcachefs): shares the bytes on disk
   until one side writes, so the taken file is independent from the start.
2. **hard link**: one file under two names. Costs nothing, but whoever writes
   *into* the source changes the taken file too, and the mode belongs to both,
   so it is left alone. Replacing the source (as editors, pip and downloads do)
   is harmless.
3. **copy**, hashed while it is copied.

The reflink comes first because it alone has neither drawback. On file systems
without it the attempt is one refused system call.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

from localkit.errors import StoreError
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.io.disk import explained_write_errors, require_free
from localkit.io.hashing import Hashed, hash_stream, read_chunks
from localkit.io.regular import open_regular

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

LinkMethod = Literal["reflink", "hardlink", "copy"]

# _IOW(0x94, 9, int) of linux/fs.h.
_FICLONE = 0x40049409


class Taken(NamedTuple):
    """What was taken over, and how."""

    method: LinkMethod
    sha256: str
    size: int


def take(
    source: Path,
    target: Path,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Taken:
    """Make ``target`` hold the bytes of ``source``, and hash them once.

    ``target`` must not exist; it is not flushed to the disk here. On failure it
    may be left in part: make it in a folder that is thrown away.

    Raises:
        SourceNotFound: ``source`` is not a plain file that can be read.
        DiskFull: a copy is needed and would not fit.
        StoreError: ``source`` changed meanwhile.
        Cancelled: ``cancel`` was raised.
    """
    with open_regular(source) as stream:
        before = os.fstat(stream.fileno())
        method: LinkMethod
        if _reflink(stream, target):
            method = "reflink"
            with open_regular(target) as clone:
                hashed = hash_stream(clone, on_progress=on_progress, cancel=cancel)
        elif _hard_link(source, stream, target):
            method = "hardlink"
            hashed = hash_stream(stream, on_progress=on_progress, cancel=cancel)
        else:
            method = "copy"
            require_free(before.st_size, target.parent)
            with explained_write_errors(before.st_size, target.parent):
                hashed = _copy(stream, target, on_progress=on_progress, cancel=cancel)
        after = os.fstat(stream.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise StoreError(
            f"'{source}' changed while it was being read",
            hint="wait until nothing writes to it, then add it again",
        )
    return Taken(method, hashed.sha256, hashed.size)


def _reflink(stream: FileIO, target: Path) -> bool:
    try:
        from fcntl import ioctl
    except ImportError:  # Windows
        return False
    try:
        with target.open("xb") as clone:
            ioctl(clone.fileno(), _FICLONE, stream.fileno())
    except OSError:
        target.unlink(missing_ok=True)
        return False
    return True


def _hard_link(source: Path, stream: FileIO, target: Path) -> bool:
    try:
        os.link(source.resolve(strict=True), target)
    except OSError:
        return False
    if os.path.samestat(target.stat(), os.fstat(stream.fileno())):
        return True
    # The name was given to another file between opening and linking.
    with suppress(FileNotFoundError):
        target.unlink()
    return False


def _copy(
    stream: FileIO,
    target: Path,
    *,
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> Hashed:
    sha256, size = hashlib.sha256(), 0
    with target.open("xb", buffering=0) as copy:
        for chunk in read_chunks(
            stream, step="copying", on_progress=on_progress, cancel=cancel
        ):
            sha256.update(chunk)
            written = 0
            while written < len(chunk):
                written += copy.write(chunk[written:])
            size += len(chunk)
    return Hashed(sha256.hexdigest(), size)
