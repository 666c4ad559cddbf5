"""The preflight of a file that was found sound is not repeated while it stays as it is.

A load asks for it in more than one place, and 49,000 tokens take 60 ms each time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from localkit.gguf.preflight import check

if TYPE_CHECKING:
    import os

_MOST: Final = 256
# What each path was when it was found sound; the oldest are forgotten.
_sound: dict[Path, tuple[int, ...]] = {}


def check_once(path: str | os.PathLike[str]) -> None:
    """Check as `check`, unless the file is the one that was sound before.

    A file that was written to, or replaced, is another: its size, inode or one of
    its times changed.

    Raises:
        GGUFError: as `check`; a missing file is named.
    """
    path = Path(path)
    before = _look(path)
    if before is not None and _sound.get(path) == before:
        return
    check(path)
    # Written to while it was read: the next caller shall look again.
    if before is not None and _look(path) == before:
        while len(_sound) >= _MOST:
            _sound.pop(next(iter(_sound)), None)
        _sound[path] = before


def _look(path: Path) -> tuple[int, ...] | None:
    try:
        stat = path.stat()
    except (OSError, ValueError):  # `check` says what is wrong
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
