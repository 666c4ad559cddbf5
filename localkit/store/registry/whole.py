"""A downloaded blob that waits to be committed: whole, verified, flushed.

A record beside it says what the file looked like when its bytes were right. As
long as it still looks so, it is believed; else its bytes are hashed again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError

from localkit.io.atomic import make_folders, publish, write_atomic
from localkit.io.hashing import hash_stream
from localkit.io.regular import open_regular
from localkit.store import blobs
from localkit.store.digest import digest_from_hex

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.events import CancelToken, OnProgress
    from localkit.store.layout import Layout


def publish_whole(layout: Layout, digest: str, data: Path) -> Path:
    """Give a verified file its name, durably; return that.

    Raises:
        OSError: a step failed.
    """
    record = _looks_like(data).model_dump_json().encode()
    make_folders(layout.staging)
    write_atomic(_record(layout, digest), record, unfinished_in=layout.staging)
    target = layout.partial(digest)
    publish(data, target)
    return target


def known_whole(layout: Layout, digest: str, size: int) -> Path | None:
    """Return the verified file, or the blob when it is in the store, if it is there."""
    with suppress(FileNotFoundError):
        blob = layout.blob(digest)
        if blob.stat().st_size == size and blobs.recorded(layout, digest):
            return blob
    path = layout.partial(digest)
    try:
        text = _record(layout, digest).read_text(encoding="utf-8")
        record = blobs.BlobRecord.model_validate_json(text)
        same = record.size == size and record == _looks_like(path)
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    return path if same else None


def check_whole(
    layout: Layout,
    digest: str,
    size: int,
    *,
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> Path | None:
    """Return the verified file, hashed again if unsure; remove one that is wrong.

    Raises:
        Cancelled: ``cancel`` was raised.
    """
    known = known_whole(layout, digest, size)
    path = layout.partial(digest)
    if known is not None or not path.is_file():
        return known
    with open_regular(path) as stream:
        hashed = hash_stream(stream, on_progress=on_progress, cancel=cancel)
    if digest_from_hex(hashed.sha256) != digest:
        forget_whole(layout, digest)
        return None
    return publish_whole(layout, digest, path)


def forget_whole(layout: Layout, digest: str) -> int:
    """Remove the file and its record; return the bytes that this frees."""
    path = layout.partial(digest)
    _record(layout, digest).unlink(missing_ok=True)
    try:
        n_bytes = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return n_bytes


def _record(layout: Layout, digest: str) -> Path:
    return layout.partial(digest, ".json")


def _looks_like(path: Path) -> blobs.BlobRecord:
    stat = path.stat()
    return blobs.BlobRecord(size=stat.st_size, mtime_ns=stat.st_mtime_ns, intact=True)
