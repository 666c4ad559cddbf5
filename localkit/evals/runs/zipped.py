"""JSON files out of a zip that nobody trusts: bounded, zstandard included."""

from __future__ import annotations

import io
import json
import struct
import sys
import zipfile
import zlib
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from localkit.errors import DatasetInvalid, UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

MAX_FILE_BYTES = 256 << 20
"""Of one file, unpacked: summaries of some hundred thousand samples."""
MAX_TOTAL_BYTES = 1 << 30
"""Of all files that are read of one zip."""
_MAX_DIRECTORY = 64 << 20
_MAX_WINDOW = 1 << 27
_ZSTANDARD = 93
_ENCRYPTED = 1
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_END = struct.Struct("<4s4H2LH")
_END_ROOM = _END.size + 65_535
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError, KeyError),
)


class Zipped:
    """A zip that is open for reading.

    Raises:
        DatasetInvalid: it is no zip, or its directory is larger than is read.
    """

    def __init__(self, path: Path) -> None:
        """Open it and read its directory."""
        self._path = path
        self._total = 0
        if not path.is_file():
            msg = f"there is no file '{path}'"
            raise DatasetInvalid(msg, hint="check the path")
        with ExitStack() as stack:
            try:
                self._stream = stack.enter_context(path.open("rb"))
                self._check_directory()
                self._zip = stack.enter_context(zipfile.ZipFile(self._stream))
            except _BROKEN as error:
                raise self._invalid("is not a zip that can be read") from error
            self._opened = stack.pop_all()

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self._opened.close()

    def names(self) -> frozenset[str]:
        """Return the names of the files in it."""
        return frozenset(self._zip.namelist())

    def json(self, name: str) -> Any:
        """Return what a JSON file in it holds.

        Raises:
            DatasetInvalid: it is damaged, or larger than is read.
            UsageError: zstandard is not installed.
        """
        try:
            content = self._read(self._zip.getinfo(name))
            return json.loads(content)
        except RecursionError as error:
            raise self._invalid(f"nests too deep in {name}") from error
        except _BROKEN as error:
            raise self._invalid(f"is damaged at {name}") from error

    def _read(self, info: zipfile.ZipInfo) -> bytes:
        """Return the bytes of a file; what its header says of sizes is not believed."""
        room = min(MAX_FILE_BYTES, MAX_TOTAL_BYTES - self._total)
        if info.flag_bits & _ENCRYPTED:
            raise self._invalid(f"has {info.filename} encrypted")
        if info.compress_type == _ZSTANDARD:
            content = self._read_zstandard(info, room)
        else:
            with self._zip.open(info) as stream:
                content = stream.read(room + 1)
        if len(content) > room:
            raise self._invalid(
                f"unpacks to more than {room >> 20} MiB at {info.filename}"
            )
        if info.compress_type == _ZSTANDARD and zlib.crc32(content) != info.CRC:
            raise self._invalid(f"is damaged at {info.filename}")
        self._total += len(content)
        return content

    def _read_zstandard(self, info: zipfile.ZipInfo, room: int) -> bytes:
        # Python's own zipfile reads this kind from 3.14 on.
        if info.compress_size > room:
            raise self._invalid(f"is larger than is read at {info.filename}")
        self._stream.seek(info.header_offset)
        header = _LOCAL_HEADER.unpack(self._stream.read(_LOCAL_HEADER.size))
        self._stream.seek(header[-2] + header[-1], io.SEEK_CUR)
        packed = io.BytesIO(self._stream.read(info.compress_size))
        return _unpack(packed, room + 1)

    def _check_directory(self) -> None:
        """Refuse a directory that would fill the memory before a file is read."""
        size = self._stream.seek(0, io.SEEK_END)
        self._stream.seek(max(0, size - _END_ROOM))
        tail = self._stream.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < _END.size:
            raise zipfile.BadZipFile
        n_bytes = _END.unpack_from(tail, at)[5]
        # All ones: it stands in the record of a large zip, 64 bits wide.
        wide = tail.rfind(b"PK\x06\x06", 0, at)
        if n_bytes == 0xFFFFFFFF and wide >= 0:
            n_bytes = struct.unpack_from("<Q", tail, wide + 40)[0]
        if n_bytes > _MAX_DIRECTORY:
            raise self._invalid(f"lists more than {_MAX_DIRECTORY >> 20} MiB of names")
        self._stream.seek(0)

    def _invalid(self, what: str) -> DatasetInvalid:
        return DatasetInvalid(
            f"{self._path.name} {what}", hint="get the file again, or a smaller part"
        )


def _unpack(packed: io.BytesIO, most: int) -> bytes:
    """Return at most ``most`` bytes of what zstandard packed, frame after frame."""
    if sys.version_info >= (3, 14):
        zstd = import_module("compression.zstd")
        options = {zstd.DecompressionParameter.window_log_max: 27}
        with zstd.ZstdFile(packed, options=options) as stream:
            return bytes(stream.read(most))
    try:
        import zstandard
    except ImportError as error:
        msg = "this log is packed by zstandard, which is not installed"
        raise UsageError(msg, hint="pip install zstandard") from error
    unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    try:
        with unpacker.stream_reader(packed, read_across_frames=True) as reader:
            return bytes(reader.read(most))
    except zstandard.ZstdError as error:
        raise zipfile.BadZipFile(str(error)) from error
