"""Blobs: files named after their bytes, and what is remembered about them.

A blob that came by hard link is also the user's file, so its bytes can change
under its name; disks rot as well. Therefore a record is kept for each blob that
was hashed here: its size and modification time then. As long as both still
match, the blob is taken as intact without reading it; when they do not, it is
hashed again before it is used. A blob without a record (Ollama's) is held to the
size in the manifest until `verify` has read it.

The mode of a blob is 0444, except after a hard link: there the mode is the
user's file's too, and stays.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from localkit.errors import BlobCorrupt, SourceNotFound
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.io.atomic import publish, write_atomic
from localkit.io.hashing import hash_stream
from localkit.io.regular import open_regular
from localkit.store.digest import digest_from_hex

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.layout import Layout


class BlobRecord(BaseModel):
    """What a blob looked like when it was last hashed."""

    model_config = ConfigDict(frozen=True)

    size: int
    """Bytes of the file."""
    mtime_ns: int
    """Its modification time, nanoseconds since 1970."""
    intact: bool
    """Whether its bytes matched its digest."""
    found: str | None = None
    """What they hashed to instead, when they did not."""


def install(layout: Layout, staged: Path, digest: str, *, own_mode: bool) -> None:
    """Move a finished file into the blobs, durably, and record it.

    Args:
        layout: The store.
        staged: File with the bytes of ``digest``, on the store's file system.
        digest: What they hash to.
        own_mode: Whether the file's mode is ours to set (not after a hard link).
    """
    # Windows cannot rename or delete a file that is read-only.
    if own_mode and os.name == "posix":
        staged.chmod(0o444)
    # Recorded first: killed in between, a record without its blob harms nobody.
    _remember(layout, digest, staged, found=digest)
    publish(staged, layout.blob(digest))


def of_size(layout: Layout, size: int) -> set[str]:
    """Return the digests of the blobs that have ``size`` bytes."""
    found = set()
    for digest, path in layout.all_blobs():
        # Removed by another process meanwhile, or a link to nothing.
        with suppress(FileNotFoundError):
            if path.stat().st_size == size:
                found.add(digest)
    return found


def is_intact(
    layout: Layout,
    digest: str,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> bool:
    """Return whether a blob is here with the right bytes; hash it if unsure.

    Raises:
        Cancelled: ``cancel`` was raised.
    """
    if not layout.blob(digest).is_file():
        return False
    try:
        known = recorded(layout, digest)
        if known is not None:
            return known
        return rehash(layout, digest, on_progress=on_progress, cancel=cancel)
    except (FileNotFoundError, SourceNotFound):
        return False  # removed by another process since


def recorded(layout: Layout, digest: str) -> bool | None:
    """Return what the last hashing found, if the file looks the same since."""
    record = _record(layout, digest)
    return None if record is None else record.intact


def _record(layout: Layout, digest: str) -> BlobRecord | None:
    try:
        text = layout.record(digest).read_text(encoding="utf-8")
        record = BlobRecord.model_validate_json(text)
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    stat = layout.blob(digest).stat()
    unchanged = (record.size, record.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    return record if unchanged else None


def rehash(
    layout: Layout,
    digest: str,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> bool:
    """Read a whole blob, record and return whether its bytes are right.

    Raises:
        SourceNotFound: the blob is missing or no plain file.
        Cancelled: ``cancel`` was raised.
    """
    return hash_of(layout, digest, on_progress=on_progress, cancel=cancel) == digest


def hash_of(
    layout: Layout,
    digest: str,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> str:
    """Read a whole blob; record and return what its bytes hash to.

    Raises:
        SourceNotFound: the blob is missing or no plain file.
        Cancelled: ``cancel`` was raised.
    """
    with open_regular(layout.blob(digest)) as stream:
        hashed = hash_stream(stream, on_progress=on_progress, cancel=cancel)
    found = digest_from_hex(hashed.sha256)
    # Nothing is written into a store that nobody asked to be written: Ollama's,
    # opened in place. That, and one that may only be read, is hashed again.
    if layout.is_ours:
        with suppress(OSError):
            _remember(layout, digest, layout.blob(digest), found=found)
    return found


def require_usable(
    layout: Layout,
    digest: str,
    size: int,
    *,
    repair: str,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Return the path of a blob that may be loaded.

    Args:
        layout: The store.
        digest: The blob.
        size: Bytes that the manifest says it has.
        repair: What to tell the user to do when it is corrupt.
        on_progress: Told about the hashing, when there is any.
        cancel: Stops the hashing.

    Raises:
        BlobCorrupt: its size, or its bytes when it changed, are not right.
        Cancelled: ``cancel`` was raised.
    """
    path = layout.blob(digest)
    if path.stat().st_size != size:
        raise BlobCorrupt(digest, path, hint=repair)
    record = _record(layout, digest)
    found = digest if record is None or record.intact else record.found
    if record is None and layout.record(digest).exists():
        found = hash_of(layout, digest, on_progress=on_progress, cancel=cancel)
    if found != digest:
        raise BlobCorrupt(digest, path, found=found, hint=repair)
    return path


def delete(layout: Layout, digest: str) -> int:
    """Remove a blob; return the bytes that this frees on the disk."""
    for about in (layout.record(digest), layout.header(digest)):
        about.unlink(missing_ok=True)
    freed = freeable(layout, digest)
    layout.blob(digest).unlink(missing_ok=True)
    return freed


def freeable(layout: Layout, digest: str) -> int:
    """Return the bytes that removing a blob would free on the disk."""
    try:
        stat = layout.blob(digest).lstat()
    except FileNotFoundError:
        return 0
    # The user's own name for a hard-linked file keeps its bytes.
    return stat.st_size if stat.st_nlink == 1 else 0


def _remember(layout: Layout, digest: str, file: Path, *, found: str) -> None:
    stat = file.stat()
    record = BlobRecord(
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        intact=found == digest,
        found=None if found == digest else found,
    )
    write_atomic(layout.record(digest), record.model_dump_json().encode())
