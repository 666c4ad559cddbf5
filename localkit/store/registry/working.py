"""Where a download is being written, and whose it is.

Each download in the making is a folder whose name says which process writes it:

::

    partial/sha256-<64 hex>                       whole and verified, to be committed
    partial/sha256-<64 hex>.json                  what it looked like then
    partial/sha256-<64 hex>.lock                  held by who downloads
    partial/sha256-<64 hex>.by-<process>-<random>/data, journal
    partial/sha256-<64 hex>.idle-<random>/data, journal

What a killed or stopped process left is taken over by renaming its folder, which
only one can do, so two never write one file: not even where locks do nothing, as
on some network disks. There, the second finds that the folder's process lives and
downloads into a folder of its own.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.io import processes
from localkit.store.digest import digest_of_name
from localkit.store.registry.journal import read_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.store.layout import Layout

# The journal of a live download is touched every second.
SIGN_EVERY_S = 1.0
_WATCH_S = 3 * SIGN_EVERY_S

# Names of folders that threads of this process are writing.
_ours: set[str] = set()


@dataclass(frozen=True, slots=True)
class Working:
    """The folder of one download in the making."""

    folder: Path
    digest: str

    @property
    def data(self) -> Path:
        """The bytes so far; what is missing is a hole."""
        return self.folder / "data"

    @property
    def journal(self) -> Path:
        """How far each part is written."""
        return self.folder / "journal"

    def n_written(self) -> int:
        """Return how many bytes the journal counts."""
        read = read_journal(self.journal, self.digest)
        return sum(read[1]) if read else 0

    def n_allocated(self) -> int:
        """Return how many bytes the disk holds for it."""
        try:
            stat = self.data.stat()
        except OSError:
            return 0
        return min(stat.st_size, getattr(stat, "st_blocks", 1 << 60) * 512)

    def is_live(self) -> bool:
        """Return whether a process writes into it, as far as can be known."""
        name = self.folder.name
        _, _, suffix = name.partition(".")
        if not suffix.startswith("by-"):
            return False
        writer = processes.parse(suffix.removeprefix("by-").rpartition("-")[0])
        if writer is None:
            return False
        if writer == processes.this_process():
            return name in _ours
        lives = writer.lives()
        return self._gives_signs() if lives is None else lives

    def last_sign_ns(self) -> int:
        """Return when its writer last gave a sign of life; 0 when that is unknown."""
        # Opened, because a network disk may answer for a name from memory.
        with suppress(OSError), self.journal.open("rb") as stream:
            return os.fstat(stream.fileno()).st_mtime_ns
        return 0

    def _gives_signs(self) -> bool:
        """Watch a writer on another machine, or on this one before its restart."""
        before, deadline = self.last_sign_ns(), time.monotonic() + _WATCH_S
        while time.monotonic() < deadline:
            time.sleep(SIGN_EVERY_S / 4)
            if self.last_sign_ns() != before:
                return True
        return False


def all_working(layout: Layout, digest: str | None = None) -> Iterator[Working]:
    """Yield the downloads in the making, of one blob or of all."""
    try:
        paths = sorted(layout.partials.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        found, kind = digest_of_partial(path), path.suffix
        if (
            found is not None
            and digest in {None, found}
            and kind.startswith((".by-", ".idle-"))
            and path.is_dir()
        ):
            yield Working(path, found)


def digest_of_partial(path: Path) -> str | None:
    """Return which blob something in `Layout.partials` is about."""
    return digest_of_name(path.name.partition(".")[0])


def claim(layout: Layout, digest: str) -> Working:
    """Take over the furthest of what others left, or begin afresh.

    Give it back with `release`.

    Raises:
        OSError: nothing can be written.
    """
    left = [working for working in all_working(layout, digest) if not working.is_live()]
    left.sort(key=Working.n_written, reverse=True)
    ours = _new(layout, digest)
    _ours.add(ours.folder.name)
    try:
        claimed = False
        for working in left:
            if not claimed:
                claimed = _rename(working.folder, ours.folder)
            else:
                remove(layout, working)
        if not claimed:
            ours.folder.mkdir()
    except BaseException:
        _ours.discard(ours.folder.name)
        raise
    return ours


def release(layout: Layout, working: Working, *, keep: bool) -> None:
    """Leave a download: for the next process to go on with, or for nobody."""
    try:
        if keep:
            idle = layout.partial(working.digest, f".idle-{secrets.token_hex(4)}")
            _rename(working.folder, idle)
        else:
            shutil.rmtree(working.folder, ignore_errors=True)
    finally:
        _ours.discard(working.folder.name)


def remove(layout: Layout, working: Working) -> int:
    """Remove a download that nobody writes; return the bytes that this frees."""
    doomed = _new(layout, working.digest)
    n_bytes = working.n_allocated()
    if not _rename(working.folder, doomed.folder):
        return 0
    shutil.rmtree(doomed.folder, ignore_errors=True)
    return n_bytes


def _new(layout: Layout, digest: str) -> Working:
    name = f".by-{processes.this_process()}-{secrets.token_hex(4)}"
    return Working(layout.partial(digest, name), digest)


def _rename(source: Path, target: Path) -> bool:
    """Rename a folder unless somebody else has done so."""
    try:
        source.rename(target)
    except FileNotFoundError:
        return False
    return True
