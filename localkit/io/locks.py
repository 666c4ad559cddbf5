"""One writer at a time, between processes and threads.

A lock is advisory and may do nothing on some network file systems, so no
correctness rests on it: files are still replaced whole (`localkit.io.atomic`).
It frees itself the moment its holder ends, killed or not. The lock file is never
removed: removing it would let two processes lock two files of one name.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from localkit.errors import StoreLocked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def hold(path: Path, *, purpose: str, timeout_s: float = 60.0) -> Iterator[None]:
    """Hold the lock file at ``path`` for the length of a with block.

    Args:
        path: The lock file; its folder must exist.
        purpose: What it is held for, told to whoever waits in vain.
        timeout_s: How long to wait for another holder.

    Raises:
        StoreLocked: still held after ``timeout_s``; names by whom and for what.
    """
    from filelock import FileLock, Timeout

    holder = path.with_suffix(".holder")
    lock = FileLock(path, timeout=timeout_s)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreLocked(
            f"{path.parent} has been locked for more than {timeout_s:.0f} s "
            f"by {_read(holder)}",
            hint="wait for it or stop it: the lock frees itself when its holder ends",
        ) from error
    try:
        # A note for others; the lock holds without it.
        with suppress(OSError):
            holder.write_text(f"process {os.getpid()} ({purpose})", encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _read(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8")[:200] or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"
