"""The tensor table of a GGUF: shapes, types, and where the bytes lie."""

from __future__ import annotations

import struct
from math import prod
from typing import TYPE_CHECKING, Final, NamedTuple

from localkit.errors import GGUFError
from localkit.gguf.types import REMOVED_WEIGHT_TYPES, WEIGHT_TYPES, WeightType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localkit.gguf.cursor import Cursor

MAX_DIMS: Final = 4
MAX_NAME: Final = 63
"""Bytes of a tensor name: ggml keeps 64 with the closing zero."""
MAX_WEIGHTS: Final = 2**63 - 1
"""Weights of one tensor: what ggml counts them with."""

_U32: Final = struct.Struct("<I")
_I32: Final = struct.Struct("<i")
_I64: Final = struct.Struct("<q")
_U64: Final = struct.Struct("<Q")


class TensorInfo(NamedTuple):
    """One tensor as the header lists it."""

    name: str
    shape: tuple[int, ...]
    """Row length first, as ggml: ``(n_embd, n_vocab)``."""
    type_id: int
    offset: int
    """Bytes from the start of the tensor data."""

    @property
    def type(self) -> WeightType:
        """How the weights are packed."""
        return WEIGHT_TYPES[self.type_id]

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """Bytes of the weights, padding not counted."""
        return self.type.size(self.n_weights)


def read_tensor(cursor: Cursor, index: int) -> TensorInfo:
    """Read one entry of the tensor table.

    Raises:
        GGUFError: llama.cpp could not hold such a tensor.
    """
    raw = cursor.text(MAX_NAME, f"the name of tensor {index}")
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name = ""
    if not name:
        raise GGUFError(
            f"tensor {index} has the name {raw!r}, which is not text",
            offset=cursor.offset,
            field=f"tensor {index}",
        )
    n_dims = cursor.number(_U32, name)
    if not 1 <= n_dims <= MAX_DIMS:
        raise _bad(name, f"has {n_dims} dimensions; 1 to {MAX_DIMS} are possible")
    shape = tuple(cursor.number(_I64, name) for _ in range(n_dims))
    if min(shape) < 1 or prod(shape) > MAX_WEIGHTS:
        raise _bad(name, f"has the impossible shape {_by(shape)}")
    type_id = cursor.number(_I32, name)
    type_ = WEIGHT_TYPES.get(type_id)
    if type_ is None:
        if type_id in REMOVED_WEIGHT_TYPES:
            raise _bad(
                name,
                f"has the weight type {REMOVED_WEIGHT_TYPES[type_id]}, "
                "which llama.cpp no longer reads",
                hint="get a newer GGUF of this model, Q4_0 or IQ4_NL for instance",
            )
        raise _bad(
            name,
            f"has the unknown weight type {type_id}",
            hint="the file is damaged, or made for a newer engine",
        )
    if shape[0] % type_.block_size:
        raise _bad(
            name,
            f"has rows of {shape[0]} weights, "
            f"not a multiple of the {type_.block_size} in a block of {type_.name}",
        )
    return TensorInfo(name, shape, type_id, cursor.number(_U64, name))


def check_layout(
    tensors: Iterable[TensorInfo], *, data_offset: int, alignment: int, file_size: int
) -> None:
    """Check that the tensors follow one another and end within the file.

    llama.cpp takes no other order: each begins where the one before ends,
    padded to the alignment.

    Raises:
        GGUFError: tensors overlap, leave a gap, or end beyond the file.
    """
    expected = 0
    names: set[str] = set()
    for tensor in tensors:
        if tensor.name in names:
            raise _bad(tensor.name, "is listed twice")
        names.add(tensor.name)
        if tensor.offset != expected:
            raise _bad(
                tensor.name,
                f"begins at byte {tensor.offset} of the data, not at {expected} "
                "where the one before ends",
            )
        end = data_offset + tensor.offset + tensor.n_bytes
        if end > file_size:
            raise GGUFError(
                f"tensor {tensor.name} ends at byte {end}, "
                f"but the file has {file_size} bytes",
                hint="the file is truncated: get it again",
                offset=data_offset + tensor.offset,
                field=tensor.name,
            )
        expected = padded(tensor.offset + tensor.n_bytes, alignment)


def padded(n: int, alignment: int) -> int:
    """Return ``n`` rounded up to a multiple of ``alignment``."""
    return -(-n // alignment) * alignment


def _bad(name: str, what: str, *, hint: str = "") -> GGUFError:
    return GGUFError(f"tensor {name} {what}", hint=hint, field=name)


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
