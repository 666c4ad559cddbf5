"""The header of a file that was not downloaded, as a file that can be read.

A GGUF says what it is in its first megabytes. They are asked for in ranges, each
twice as long as the one before, until the header ends, and written to a file that is
then made as long as the whole: sparse, so it takes the room of the header alone.
What plans the memory of a load, llama.cpp included, cannot tell it from the model.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from localkit.errors import GGUFError
from localkit.gguf import preflight
from localkit.gguf.read import model_info
from localkit.gguf.reader import Header, read_stream
from localkit.io.disk import explained_write_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from localkit.gguf.info import ModelInfo
    from localkit.store.registry.remote import RangeReply

MOST: Final = 32 << 20
"""Bytes that are read for one header; 262144 tokens of vocabulary take about 15 MiB."""
_FIRST: Final = 2 << 20
"""Bytes of the first range; SmolLM2's header, of 49152 tokens, has 1.7 MiB."""


def fetch_header(
    open_range: Callable[[int, int], AbstractContextManager[RangeReply]],
    size: int,
    target: Path,
) -> Header:
    """Ask for the header of a file elsewhere, and keep it; see `keep_header`.

    Args:
        open_range: Opens bytes from one place to another, which is not included.
        size: Bytes of the whole file.
        target: File to make, in a folder that is thrown away.

    Raises:
        GGUFError: it is no GGUF, or its header does not end within 32 MiB.
        DiskFull: the header does not fit.
        RegistryError: the bytes cannot be had.
    """
    with closing(_ranges(open_range, size)) as chunks:
        return keep_header(chunks, size, target)


def _ranges(
    open_range: Callable[[int, int], AbstractContextManager[RangeReply]], size: int
) -> Generator[bytes, None, None]:
    at, step = 0, _FIRST
    while at < min(size, MOST):
        with open_range(at, min(at + step, size, MOST)) as reply:
            began, before = (
                at,
                at - reply.start,
            )  # what a server that ignores ranges repeats
            for chunk in reply.chunks:
                new = chunk[before:]
                before = max(0, before - len(chunk))
                at += len(new)
                yield new
        if at == began:  # nothing came: the reader says that the file ends here
            return
        step *= 2


def keep_header(chunks: Iterator[bytes], size: int, target: Path) -> Header:
    """Write the header that a stream begins with to ``target``, and return it.

    Args:
        chunks: The bytes of a GGUF from its first; read no further than needed.
        size: Bytes of the whole file.
        target: File to make, in a folder that is thrown away.

    Raises:
        GGUFError: it is no GGUF, or its header does not end within 32 MiB.
        DiskFull: the header does not fit.
    """
    with explained_write_errors(MOST, target.parent), target.open("w+b") as out:
        stream = cast("BinaryIO", _Arriving(chunks, size, out))
        header = read_stream(stream, target.name)
        out.truncate(size)
    return header


def checked_info(header: Header, path: Path) -> ModelInfo:
    """Return what a header says, if llama.cpp may be given it.

    Raises:
        GGUFError: it is no model, or one that would abort llama.cpp.
    """
    preflight.check(header)
    return model_info(header, path)


class _Arriving:
    """A file whose bytes come while it is read, and are kept in another."""

    def __init__(self, chunks: Iterator[bytes], size: int, out: BinaryIO) -> None:
        self._chunks = chunks
        self._size = size
        self._out = out
        self._arrived = 0
        self._place = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset if whence == 0 else self._size + offset
        return self._place

    def read(self, n: int) -> bytes:
        end = min(self._place + n, self._size)
        while self._arrived < end:
            if self._arrived >= MOST:
                raise GGUFError(
                    f"the header does not end within {MOST >> 20} MiB",
                    hint="pull it by name: the whole file is read then",
                )
            chunk: Any = next(self._chunks, b"")
            if not chunk:
                break
            self._out.seek(self._arrived)
            self._out.write(chunk)
            self._arrived += len(chunk)
        self._out.seek(self._place)
        data = self._out.read(end - self._place)
        self._place += len(data)
        return data
