"""One writer at a time, between processes and threads.

A lock is advisory and may do nothing on some network file systems, so no
correctness rests on it: files are still replaced whole (`localkit.io.atomic`).
It frees itself the moment its holder ends, killed or not. A lock file stays: its
removal could let two processes lock two files of one name. Only where that would
cost time and nothing else may its holder remove it (`try_hold`).
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from localkit.errors import StoreLocked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from filelock import BaseFileLock


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

    lock = FileLock(path, timeout=timeout_s)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreLocked(
            f"{path.parent} has been locked for more than {timeout_s:.0f} s "
            f"by {holder_of(path)}",
            hint="wait for it or stop it: the lock frees itself when its holder ends",
        ) from error
    with _held(lock, path, purpose):
        yield


@contextmanager
def try_hold(path: Path, *, purpose: str) -> Iterator[bool]:
    """Hold the lock file at ``path`` unless somebody does; give whether it is held.

    Args:
        path: The lock file; its folder must exist. Whoever holds it may remove it.
        purpose: What it is held for, told to others by `holder_of`.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    with _held(lock, path, purpose):
        yield True


def holder_of(path: Path) -> str:
    """Return who holds the lock file at ``path``, in words, as far as is known."""
    try:
        holder = path.with_suffix(".holder").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        holder = ""
    return holder[:200] or "another process"


@contextmanager
def _held(lock: BaseFileLock, path: Path, purpose: str) -> Iterator[None]:
    holder = path.with_suffix(".holder")
    try:
        # A note for others; the lock holds without it.
        with suppress(OSError):
            holder.write_text(f"process {os.getpid()} ({purpose})", encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()
