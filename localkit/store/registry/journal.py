"""The journal beside a partial download: how far each part is written.

A head of 4096 bytes (JSON, filled up with spaces), then two tables with one slot
a part: bytes *written*, and bytes *flushed* to the disk. A slot is the number and
a checksum, 12 bytes, overwritten in place, so the journal never grows: on a full
disk it still knows.

A killed process loses nothing that it wrote, so the written table counts as long
as the machine was not restarted since. After a power cut only the flushed one
does. A torn head or slot counts as nothing there; a wrong one that looks right is
found by the hash of the whole.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from localkit.io import processes
from localkit.store.registry.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_HEAD_SIZE = 4096
_SLOT = struct.Struct("<QI")

# 64 Ki parts of 64 MiB are 4 TiB.
_MOST_PARTS = 1 << 16


class Head(BaseModel):
    """What the slots are about."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    digest: str
    """The blob's."""
    size: int = Field(ge=0)
    """Bytes of the blob."""
    part_size: int = Field(ge=1)
    """Bytes of a part."""
    machine: str
    """Which start of which machine the written table belongs to."""
    etag: str | None = Field(default=None, max_length=1024)
    """The server's mark of the version that the bytes are of."""

    def parts(self) -> Parts:
        """Return the parts that the slots stand for."""
        return Parts(self.size, self.part_size)


class Journal:
    """The open journal of a download. Each part's slot may be written by a thread."""

    def __init__(self, path: Path, head: Head, filled: Sequence[int]) -> None:
        """Write a new journal in the place of the one at ``path``.

        Raises:
            OSError: it cannot be written.
        """
        self.head = head
        self._path = path
        self._lock = threading.Lock()
        unfinished = path.with_suffix(".new")
        tables = _table(filled, 0) + _table([0] * len(filled), 1)
        unfinished.write_bytes(_encoded(head) + tables)
        unfinished.replace(path)
        self._file = path.open("r+b", buffering=0)

    def note(self, part: int, n_bytes: int) -> None:
        """Say that the first ``n_bytes`` of a part are written."""
        self._write(_HEAD_SIZE + part * _SLOT.size, _slot(n_bytes, part, 0))

    def note_flushed(self, filled: Sequence[int]) -> None:
        """Say that so much of each part is on the disk, and put that there as well."""
        self._write(_HEAD_SIZE + len(filled) * _SLOT.size, _table(filled, 1))
        os.fsync(self._file.fileno())

    def note_etag(self, etag: str | None) -> None:
        """Say which version of the blob the bytes are of."""
        if etag is not None and len(etag) <= 1024:
            self.head = self.head.model_copy(update={"etag": etag})
            self._write(0, _encoded(self.head))

    def live(self) -> None:
        """Give a sign of life to those who wait."""
        os.utime(self._path)

    def close(self) -> None:
        """Close the file; what was noted stays."""
        self._file.close()

    def _write(self, offset: int, data: bytes) -> None:
        with self._lock:
            self._file.seek(offset)
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])


def read_journal(path: Path, digest: str) -> tuple[Head, list[int]] | None:
    """Return head and bytes that count of each part; None for no usable journal."""
    try:
        with path.open("rb") as stream:
            head = Head.model_validate_json(stream.read(_HEAD_SIZE))
            n_parts = len(head.parts())
            if head.digest != digest or n_parts > _MOST_PARTS:
                return None
            tables = stream.read(2 * n_parts * _SLOT.size)
    except (OSError, ValidationError):
        return None
    written, flushed = (
        [_read(tables, which * n_parts + part, part, which) for part in range(n_parts)]
        for which in (0, 1)
    )
    if head.machine != processes.machine():
        return head, flushed
    return head, [max(pair) for pair in zip(written, flushed, strict=True)]


def _encoded(head: Head) -> bytes:
    return head.model_dump_json().encode().ljust(_HEAD_SIZE)


def _table(counts: Sequence[int], which: int) -> bytes:
    return b"".join(_slot(n, part, which) for part, n in enumerate(counts))


def _slot(n_bytes: int, part: int, which: int) -> bytes:
    return _SLOT.pack(n_bytes, _check(n_bytes, part, which))


def _read(tables: bytes, index: int, part: int, which: int) -> int:
    slot = tables[index * _SLOT.size : (index + 1) * _SLOT.size]
    if len(slot) < _SLOT.size:
        return 0
    n_bytes, check = _SLOT.unpack(slot)
    return n_bytes if check == _check(n_bytes, part, which) else 0


def _check(n_bytes: int, part: int, which: int) -> int:
    return zlib.crc32(struct.pack("<QIB", n_bytes, part, which))
