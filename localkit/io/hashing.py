"""Hash files of any size while reporting, and stop when asked."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from localkit.errors import Cancelled
from localkit.events import CancelToken, OnProgress, Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

# 123 MiB/s is a slow core without SHA instructions: 30 reports a second.
CHUNK_SIZE = 4 << 20


class Hashed(NamedTuple):
    """The bytes of one file, summed up."""

    sha256: str
    """64 lower-case hexadecimal digits."""
    size: int
    """How many bytes were read."""


def read_chunks(
    stream: FileIO,
    *,
    step: str,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Iterator[memoryview]:
    """Yield what an open file holds now; each chunk is valid until the next.

    Bytes that are appended meanwhile are not read: a file that keeps growing
    would never end.

    Args:
        stream: An unbuffered file.
        step: What the reports call this: ``hashing``.
        on_progress: Called after each chunk has been used, in bytes.
        cancel: Looked at before each chunk.

    Raises:
        Cancelled: ``cancel`` was raised.
    """
    total = os.fstat(stream.fileno()).st_size
    buffer = bytearray(CHUNK_SIZE)
    view = memoryview(buffer)
    done = 0
    while done < total:
        if cancel is not None and cancel.cancelled:
            raise Cancelled(f"{step} was stopped", hint="run it again when you like")
        n_read = stream.readinto(view[: total - done])
        if not n_read:
            return
        yield view[:n_read]
        done += n_read
        on_progress(Progress(step, done, total, "B"))


def hash_stream(
    stream: FileIO,
    *,
    step: str = "hashing",
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Hashed:
    """Return the sha256 and size of the rest of an open file.

    Raises:
        Cancelled: ``cancel`` was raised.
    """
    sha256, size = hashlib.sha256(), 0
    for chunk in read_chunks(stream, step=step, on_progress=on_progress, cancel=cancel):
        sha256.update(chunk)
        size += len(chunk)
    return Hashed(sha256.hexdigest(), size)
