"""Say in our own errors what the system says when it will not write."""

from __future__ import annotations

import errno
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from localkit.errors import DiskFull, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC})
# A quota or a file size limit leaves this process nothing, however much is free.
_LIMITED = frozenset({errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}) - _FULL
_DENIED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
)


def free_bytes(folder: Path) -> int:
    """Return the bytes an ordinary user may still write below ``folder``."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def require_free(needed: int, folder: Path) -> None:
    """Refuse to start writing ``needed`` bytes that would not fit.

    Raises:
        DiskFull: fewer bytes are free.
    """
    free = free_bytes(folder)
    if free < needed:
        raise DiskFull(needed, free, folder)


@contextmanager
def explained_write_errors(needed: int, folder: Path) -> Iterator[None]:
    """Turn the system's refusals to write into errors with a way out.

    Args:
        needed: Bytes that are about to be written.
        folder: Where they go.

    Raises:
        DiskFull: the disk, a quota or a file size limit is in the way.
        StoreError: the folder cannot be written: no permission, or no folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(needed, free_bytes(folder), folder) from error
        if error.errno in _LIMITED:
            raise DiskFull(needed, 0, folder) from error
        if error.errno in _DENIED:
            raise StoreError(
                f"{folder} cannot be written: {error.strerror}",
                hint="set LOCALKIT_HOME to a folder that you may write",
            ) from error
        raise
