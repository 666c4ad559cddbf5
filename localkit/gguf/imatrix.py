"""Importance matrices: how much each column of a weight matters, as a file.

For a weight that multiplies activations ``x``, a column's importance is the mean of
``x²`` over the tokens of a text. llama.cpp keeps the sums and the number of tokens,
so that files can be joined. Source of both formats: llama.cpp,
``tools/imatrix/imatrix.cpp`` and ``common/imatrix-loader.cpp``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import numpy as np

from localkit.errors import GGUFError
from localkit.gguf.raw import RawKey, encode_header
from localkit.gguf.reader import DEFAULT_ALIGNMENT, read_header
from localkit.gguf.tensors import MAX_NAME, TensorInfo, padded
from localkit.io.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from localkit.gguf.reader import Header

_SUMS, _COUNTS = ".in_sum2", ".counts"
_F32, _U32, _STRING, _ARRAY = 0, 4, 8, 9
"""Weight type of the tensors; value types of the keys."""
MAX_ENTRIES: Final = 65_536
_INT: Final = struct.Struct("<i")
_HINT: Final = "make it again, or get it from its publisher"


class Importance(NamedTuple):
    """What was collected for one weight."""

    sums: NDArray[np.float32]
    """Σ x² of each column, shape (n_counts, n_columns)."""
    counts: NDArray[np.int64]
    """Tokens that each row of `sums` saw: one row, or one for each expert."""

    def means(self) -> NDArray[np.float32]:
        """Return the mean x² as one row; 1 for what no token reached.

        As llama-quantize divides, in float32.
        """
        counts = self.counts.astype(np.float32)[:, None]
        seen = np.where(counts > 0, counts, np.float32(1))
        return np.where(counts > 0, self.sums / seen, np.float32(1)).ravel()


@dataclass(frozen=True, slots=True)
class Imatrix:
    """The importance of a model's weights over a text."""

    entries: Mapping[str, Importance]
    """By name of the weight: ``blk.0.ffn_down.weight``."""
    datasets: tuple[str, ...]
    """Names of the texts."""
    n_chunks: int
    """Chunks of text that went in; 0 when the file does not say."""
    chunk_size: int
    """Tokens of a chunk; 0 when the file does not say."""


def read_imatrix(path: Path) -> Imatrix:
    """Read a file of either format, told apart by how it begins.

    Raises:
        GGUFError: there is no such file, it is damaged, or it is something else.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                return _read_legacy(stream, path.name)
            return _read_gguf(stream, read_header(path), path.name)
    except OSError as error:
        msg = f"the importance matrix {path} cannot be read: {error.strerror}"
        raise GGUFError(msg, hint="check the path and its permissions") from error


def write_imatrix(path: Path, imatrix: Imatrix) -> None:
    """Write ``imatrix`` as llama-imatrix does; ``path`` appears whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    arrays: dict[str, NDArray[np.float32]] = {}
    for name in sorted(imatrix.entries):
        sums, counts = imatrix.entries[name]
        arrays[name + _SUMS] = sums
        arrays[name + _COUNTS] = counts.astype("<f4")[:, None]
    tensors, data = [], bytearray()
    for name, array in arrays.items():
        data.extend(bytes(padded(len(data), DEFAULT_ALIGNMENT) - len(data)))
        tensors.append((TensorInfo(name, _shape(array), _F32, len(data)), len(data)))
        data += array.astype("<f4").tobytes()
    data.extend(bytes(padded(len(data), DEFAULT_ALIGNMENT) - len(data)))
    header = encode_header(3, _keys(imatrix), tensors)
    gap = padded(len(header), DEFAULT_ALIGNMENT) - len(header)
    write_atomic(path, header + bytes(gap) + bytes(data))


def _shape(array: NDArray[np.float32]) -> tuple[int, ...]:
    """Return the shape as ggml counts dimensions: row length first, no last 1."""
    n_rows, n_columns = array.shape
    return (n_columns,) if n_rows == 1 else (n_columns, n_rows)


def _keys(imatrix: Imatrix) -> list[RawKey]:
    names = b"".join(_text(name) for name in imatrix.datasets)
    return [
        RawKey("general.type", struct.pack("<I", _STRING) + _text("imatrix")),
        RawKey(
            "imatrix.datasets",
            struct.pack("<IIQ", _ARRAY, _STRING, len(imatrix.datasets)) + names,
        ),
        RawKey("imatrix.chunk_count", struct.pack("<II", _U32, imatrix.n_chunks)),
        RawKey("imatrix.chunk_size", struct.pack("<II", _U32, imatrix.chunk_size)),
    ]


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _read_gguf(stream: BinaryIO, header: Header, name: str) -> Imatrix:
    kv = header.kv
    sizes = [kv.get(key) for key in ("imatrix.chunk_count", "imatrix.chunk_size")]
    datasets = kv.get("imatrix.datasets")
    if not isinstance(datasets, tuple) or not all(isinstance(n, int) for n in sizes):
        msg = f"{name} is a GGUF, but no importance matrix"
        raise GGUFError(msg, hint="give a file that llama-imatrix or localkit made")
    found = {tensor.name: tensor for tensor in header.tensors}
    entries = {}
    for tensor in header.tensors:
        weight = tensor.name.removesuffix(_SUMS)
        if weight == tensor.name:
            continue
        counts = found.get(weight + _COUNTS)
        if counts is None or {tensor.type_id, counts.type_id} != {_F32}:
            msg = f"{name} has no sums and counts in F32 for {weight}"
            raise GGUFError(msg, hint=_HINT, field=tensor.name)
        entries[weight] = _importance(
            _floats(stream, header, tensor), _floats(stream, header, counts), weight
        )
    if not entries:
        msg = f"{name} holds the importance of no weight"
        raise GGUFError(msg, hint=_HINT)
    n_chunks, chunk_size = (int(str(size)) for size in sizes)
    texts = tuple(raw.decode(errors="replace") for raw in datasets)
    return Imatrix(entries, texts, n_chunks, chunk_size)


def _floats(
    stream: BinaryIO, header: Header, tensor: TensorInfo
) -> NDArray[np.float32]:
    stream.seek(header.data_offset + tensor.offset)
    return np.frombuffer(stream.read(tensor.n_bytes), "<f4")


def _importance(
    sums: NDArray[np.float32], counts: NDArray[np.float32], weight: str
) -> Importance:
    sound = bool(np.isfinite(sums).all() and np.isfinite(counts).all())
    if not sound or sums.size % counts.size:
        msg = f"the importance of {weight} is damaged"
        raise GGUFError(msg, hint=_HINT, field=weight)
    return Importance(
        sums.reshape(counts.size, -1), np.rint(counts).astype(np.int64).ravel()
    )


def _read_legacy(stream: BinaryIO, name: str) -> Imatrix:
    """Read the format before GGUF, ``.dat``: sums scaled to the calls counted.

    No magic and no checks: every length is held to what the file still has.
    """
    size = stream.seek(0, 2)
    stream.seek(0)

    def number(most: int) -> int:
        raw = stream.read(_INT.size)
        value: int = _INT.unpack(raw)[0] if len(raw) == _INT.size else -1
        if not 0 <= value <= most:
            msg = f"{name} is no importance matrix, or damaged"
            hint = "give a file that llama-imatrix or localkit made"
            raise GGUFError(msg, hint=hint, offset=stream.tell())
        return value

    entries = {}
    for _ in range(number(MAX_ENTRIES)):
        weight = stream.read(number(MAX_NAME)).decode(errors="replace")
        n_calls = number(2**31 - 1)
        n_values = number((size - stream.tell() - _INT.size) // 4)
        if n_values == 0:
            msg = f"the importance of {weight} is empty"
            raise GGUFError(msg, hint=_HINT, field=weight)
        sums = np.frombuffer(stream.read(4 * n_values), "<f4")
        # Without a count the sums are used as they are.
        entries[weight] = _importance(sums, np.array([n_calls or 1], "<f4"), weight)
    if not entries:
        msg = f"{name} holds the importance of no weight"
        raise GGUFError(msg, hint=_HINT)
    n_chunks = 0
    datasets: tuple[str, ...] = ()
    if stream.tell() < size:
        n_chunks = number(2**31 - 1)
    if stream.tell() < size:
        text = stream.read(number(size - stream.tell() - _INT.size)).decode(
            errors="replace"
        )
        datasets = (text,) if text else ()
    return Imatrix(entries, datasets, n_chunks, 0)
