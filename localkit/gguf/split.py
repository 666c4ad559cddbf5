"""Models that were cut into several files, and how they become one.

llama.cpp's ``gguf-split`` names the parts ``NAME-00001-of-00003.gguf``. The first
holds all metadata; each holds some tensors and three keys: which part it is
(``split.no``, from 0), of how many (``split.count``), and how many tensors the
whole has (``split.tensors.count``).

Merging is streaming: headers are read, tensor data are copied in steps of
4 MiB, so a model of any size is joined in the memory of its headers. The bytes are
hashed on the way.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from localkit.errors import Cancelled, GGUFError, SourceNotFound
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.gguf.raw import encode_header, read_raw_keys
from localkit.gguf.reader import Header, read_header
from localkit.gguf.tensors import TensorInfo, padded
from localkit.io.disk import explained_write_errors, require_free
from localkit.io.hashing import CHUNK_SIZE, Hashed
from localkit.io.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import FileIO
    from pathlib import Path

MAX_PARTS: Final = 65_535
"""``split.count`` is 16 bits wide."""
_PART_NAME: Final = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
_SPLIT_KEYS: Final = frozenset({"split.no", "split.count", "split.tensors.count"})


class PartName(NamedTuple):
    """What the name of a part says."""

    prefix: str
    number: int
    """From 1."""
    n_parts: int


class _Part(NamedTuple):
    path: Path
    header: Header


def part_name(path: Path) -> PartName | None:
    """Return what the name of a file says about being a part; None: it is none."""
    match = _PART_NAME.fullmatch(path.name)
    if match is None or not int(match[3]):
        return None
    return PartName(match[1], int(match[2]), int(match[3]))


def whole_name(path: Path) -> str:
    """Return the name that the merged file would have had: ``NAME.gguf``."""
    named = part_name(path)
    return path.name if named is None else f"{named.prefix}.gguf"


def parts_of(path: Path) -> list[Path]:
    """Return every part of the model that ``path`` is a part of, in order.

    The parts lie beside it and are named as llama.cpp names them.

    Raises:
        SourceNotFound: it is not named like a part, or parts are missing; names
            them.
    """
    named = part_name(path)
    if named is None or not 1 <= named.number <= named.n_parts:
        raise SourceNotFound(
            f"'{path.name}' is a part of a model but not named like one",
            hint="name the parts NAME-00001-of-0000N.gguf, as they were published",
        )
    width = f"{named.n_parts:05d}"
    ending = path.suffix
    parts = [
        path.with_name(f"{named.prefix}-{number:05d}-of-{width}{ending}")
        for number in range(1, named.n_parts + 1)
    ]
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        shown = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise SourceNotFound(
            f"{len(missing)} of the {named.n_parts} parts of '{named.prefix}' "
            f"are missing: {shown}",
            hint=f"get them and put them into {path.parent}",
        )
    return parts


def merge(
    parts: Sequence[Path],
    target: Path,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Hashed:
    """Write the model that ``parts`` make up to ``target``, and return its hash.

    What the file would have been if it had never been split: the keys of the
    first part without the three about splitting, every tensor, in order.

    Args:
        parts: All of them, the first one first.
        target: File to make; must not exist. Left in part on failure.
        on_progress: Told the bytes written.
        cancel: Looked at every 4 MiB.

    Raises:
        SourceNotFound: a part is no plain file, or parts are missing.
        GGUFError: a part is damaged, or they do not belong together.
        DiskFull: the whole would not fit.
        Cancelled: ``cancel`` was raised.
    """
    read = _read_all(parts)
    first = read[0].header
    head, size = _plan(read)
    require_free(size, target.parent)
    sha256, done = hashlib.sha256(), 0
    with (
        explained_write_errors(size, target.parent),
        target.open("xb") as out,
    ):

        def write(data: bytes | memoryview) -> None:
            nonlocal done
            out.write(data)
            sha256.update(data)
            done += len(data)
            on_progress(Progress("merging", done, size, "B"))

        write(head)
        for path, header in read:
            with open_regular(path) as stream:
                for tensor in header.tensors:
                    stream.seek(header.data_offset + tensor.offset)
                    for chunk in _pieces(stream, tensor.n_bytes, path, cancel):
                        write(chunk)
                    write(bytes(-done % first.alignment))
    return Hashed(sha256.hexdigest(), done)


def merged_size(parts: Sequence[Path]) -> int:
    """Return the bytes of the file that `merge` would write.

    Raises:
        SourceNotFound, GGUFError: as `merge`.
    """
    return _plan(_read_all(parts))[1]


def _read_all(paths: Sequence[Path]) -> list[_Part]:
    parts = []
    for path in paths:
        open_regular(path).close()
        parts.append(_Part(path, read_header(path)))
    _check(parts)
    return parts


def _check(parts: Sequence[_Part]) -> None:
    """Refuse parts that are not all of one model, in order.

    Raises:
        SourceNotFound: some are missing.
        GGUFError: they contradict each other.
    """
    if not parts:
        raise SourceNotFound("no parts to merge", hint="give the files of a model")
    n_parts = _number(parts[0], "split.count")
    if n_parts != len(parts):
        raise SourceNotFound(
            f"{parts[0].path.name} is one of {n_parts} parts, "
            f"but {len(parts)} are here",
            hint="give all parts of the model",
        )
    names: set[str] = set()
    for index, part in enumerate(parts):
        number = _number(part, "split.no")
        if (number, _number(part, "split.count")) != (index, n_parts):
            raise GGUFError(
                f"{part.path.name} says that it is part {number + 1} "
                f"of {_number(part, 'split.count')}, not {index + 1} of {n_parts}",
                hint="give the parts of one model, as they were published",
                field="split.no",
            )
        for tensor in part.header.tensors:
            if tensor.name in names:
                raise GGUFError(
                    f"tensor {tensor.name} is in two parts, again in {part.path.name}",
                    hint="get the parts again: they are of different models",
                    field=tensor.name,
                )
            names.add(tensor.name)
    n_tensors = _number(parts[0], "split.tensors.count", default=len(names))
    if n_tensors != len(names):
        raise GGUFError(
            f"the parts hold {len(names)} tensors, but the model has {n_tensors}",
            hint="get the parts again: they are of different models",
            field="split.tensors.count",
        )


def _number(part: _Part, key: str, *, default: int | None = None) -> int:
    value = part.header.kv.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise GGUFError(
            f"{part.path.name} is no part of a model: {key} is {value!r}",
            hint="add a whole model by itself, and parts by their first file",
            field=key,
        )
    return value


def _plan(parts: Sequence[_Part]) -> tuple[bytes, int]:
    """Return everything before the tensor data, and the bytes of the whole."""
    first = parts[0].header
    with open_regular(parts[0].path) as stream:
        keys = [key for key in read_raw_keys(stream) if key.name not in _SPLIT_KEYS]
    tensors: list[tuple[TensorInfo, int]] = []
    offset = 0
    for part in parts:
        for tensor in part.header.tensors:
            tensors.append((tensor, offset))
            offset += padded(tensor.n_bytes, first.alignment)
    head = encode_header(first.version, keys, tensors)
    head += bytes(-len(head) % first.alignment)
    return head, len(head) + offset


def _pieces(
    stream: FileIO, size: int, path: Path, cancel: CancelToken | None
) -> Iterator[memoryview]:
    view = memoryview(bytearray(min(size, CHUNK_SIZE)))
    while size:
        if cancel is not None and cancel.cancelled:
            raise Cancelled("merging was stopped", hint="run it again when you like")
        n_read = stream.readinto(view[:size])
        if not n_read:
            raise GGUFError(f"{path.name} became shorter while it was being read")
        yield view[:n_read]
        size -= n_read
