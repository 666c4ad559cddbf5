"""Take files and texts over into a store's staging, as blobs to be committed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from localkit.errors import SourceNotFound
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.io.hashing import hash_stream
from localkit.io.link import take
from localkit.io.regular import open_regular
from localkit.store import blobs
from localkit.store.commit import NewBlob
from localkit.store.digest import digest_from_hex, digest_of, short_digest

if TYPE_CHECKING:
    from localkit.store.layout import Layout

AddMethod = Literal["reflink", "hardlink", "copy", "moved", "present"]
Source = Path | str
"""A file, or the digest of a blob that the store has."""


class Taken(NamedTuple):
    """A blob on its way in, and how its bytes came."""

    blob: NewBlob
    method: AddMethod

    @property
    def was_new(self) -> bool:
        """Whether committing it moved it in; ask after `commit`."""
        return self.blob.staged is not None and not self.blob.staged.exists()


def source_path(layout: Layout, source: Source) -> Path:
    """Return where the bytes of a source lie now.

    Raises:
        RefError: a text that is no digest.
        SourceNotFound: the store has no such blob.
    """
    if isinstance(source, Path):
        return source
    path = layout.blob(source)
    if not path.is_file():
        raise _no_blob(source)
    return path


def take_source(
    layout: Layout,
    source: Source,
    staged: Path,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Taken:
    """Take a file over without copying its bytes where that can be, and hash it once.

    A file in the store's staging is moved. Nothing is copied when the store has the
    bytes.

    Args:
        layout: The store.
        source: What to take.
        staged: File to be made, in a folder of the store's staging.
        on_progress: Told about hashing and copying.
        cancel: Stops both.

    Raises:
        SourceNotFound: there is no plain file, or no such blob.
        DiskFull: a copy does not fit.
        StoreError: the file changed meanwhile.
        Cancelled: ``cancel`` was raised.
    """
    if isinstance(source, str):
        return _stored(layout, source, staged, on_progress=on_progress, cancel=cancel)
    if source.resolve().is_relative_to(layout.staging.resolve()):
        with open_regular(source) as stream:
            hashed = hash_stream(stream, on_progress=on_progress, cancel=cancel)
        digest = digest_from_hex(hashed.sha256)
        return Taken(NewBlob(digest, hashed.size, source), "moved")
    open_regular(source).close()
    size = source.stat().st_size
    same_size = blobs.of_size(layout, size)
    if same_size:
        # Hashing first spares a copy when the store has these bytes.
        with open_regular(source) as stream:
            hashed = hash_stream(stream, on_progress=on_progress, cancel=cancel)
        digest = digest_from_hex(hashed.sha256)
        if digest in same_size and blobs.is_intact(
            layout, digest, on_progress=on_progress, cancel=cancel
        ):
            return _present(layout, digest, size, staged)
    taken = take(source, staged, on_progress=on_progress, cancel=cancel)
    blob = NewBlob(
        digest_from_hex(taken.sha256),
        taken.size,
        staged,
        own_mode=taken.method != "hardlink",
    )
    return Taken(blob, taken.method)


def take_bytes(data: bytes, folder: Path) -> NewBlob:
    """Write a small blob into a folder of the store's staging."""
    digest = digest_of(data)
    staged = folder / digest.rpartition(":")[2]
    staged.write_bytes(data)
    return NewBlob(digest, len(data), staged)


def _stored(
    layout: Layout,
    digest: str,
    staged: Path,
    *,
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> Taken:
    path = layout.blob(digest)
    if not blobs.is_intact(layout, digest, on_progress=on_progress, cancel=cancel):
        raise _no_blob(digest)
    return _present(layout, digest, path.stat().st_size, staged)


def _present(layout: Layout, digest: str, size: int, staged: Path) -> Taken:
    """Keep a blob's bytes under a second name, should another process remove it."""
    held: Path | None = staged
    try:
        os.link(layout.blob(digest), staged)
    except OSError:
        held = None
    return Taken(NewBlob(digest, size, held, own_mode=False), "present")


def _no_blob(digest: str) -> SourceNotFound:
    return SourceNotFound(
        f"the store has no intact blob {short_digest(digest)}",
        hint="send its bytes first, or give a file",
    )
