"""The keys of a header as the file has them: bytes, not values.

Whoever writes a header anew from another must not decode it: a string that is no
UTF-8 and the width of a number would not survive.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from localkit.errors import GGUFError
from localkit.gguf.cursor import Cursor
from localkit.gguf.reader import (
    MAX_ARRAY,
    MAX_HEADER,
    MAX_KEY,
    MAX_KEYS,
    MAX_STRING,
    MAX_TENSORS,
    MAX_TOKEN,
)

if TYPE_CHECKING:
    from io import FileIO

    from localkit.gguf.tensors import TensorInfo

_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
_HEAD: Final = struct.Struct("<4sIQQ")
_STRING: Final = 8
_ARRAY: Final = 9
_WIDTHS: Final = {
    **dict.fromkeys((0, 1, 7), 1),
    **dict.fromkeys((2, 3), 2),
    **dict.fromkeys((4, 5, 6), 4),
    **dict.fromkeys((10, 11, 12), 8),
}
"""Value type to the bytes of one value."""


class RawKey(NamedTuple):
    """One key of a header."""

    name: str
    value: bytes
    """Its type and value."""


def read_raw_keys(stream: FileIO) -> list[RawKey]:
    """Return the keys of an open GGUF, in the file's order.

    Raises:
        GGUFError: it is no GGUF, or damaged; `localkit.gguf.read_header` says more.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    cursor = Cursor(stream, size=size, limit=MAX_HEADER)
    if cursor.take(4, "the magic") != b"GGUF":
        raise GGUFError("the file is not a GGUF", offset=0)
    cursor.number(_U32, "the version")
    _count(cursor, "tensor count", MAX_TENSORS)
    return [
        _read_key(cursor, index) for index in range(_count(cursor, "keys", MAX_KEYS))
    ]


def encode_header(
    version: int, keys: list[RawKey], tensors: list[tuple[TensorInfo, int]]
) -> bytes:
    """Return the bytes before the padding and the tensor data.

    Args:
        version: Of the format.
        keys: All of them.
        tensors: Each with its offset from the start of the tensor data.
    """
    pieces = [_HEAD.pack(b"GGUF", version, len(tensors), len(keys))]
    for key in keys:
        pieces += [_text(key.name), key.value]
    for tensor, offset in tensors:
        n_dims = len(tensor.shape)
        pieces += [
            _text(tensor.name),
            struct.pack(f"<I{n_dims}Q", n_dims, *tensor.shape),
            struct.pack("<IQ", tensor.type_id, offset),
        ]
    return b"".join(pieces)


def _text(text: str) -> bytes:
    raw = text.encode()
    return _U64.pack(len(raw)) + raw


def _count(cursor: Cursor, field: str, cap: int) -> int:
    count: int = cursor.number(_U64, field)
    if count > cap:
        raise GGUFError(f"{count} {field}, more than {cap}", offset=cursor.offset)
    return count


def _read_key(cursor: Cursor, index: int) -> RawKey:
    try:
        name = cursor.text(MAX_KEY, f"key {index}").decode()
    except UnicodeDecodeError as error:
        raise GGUFError(f"key {index} is no text", offset=cursor.offset) from error
    type_ = cursor.take(4, name)
    type_id = int.from_bytes(type_, "little")
    if type_id == _STRING:
        return RawKey(name, type_ + _read_string(cursor, MAX_STRING, name))
    if type_id != _ARRAY:
        return RawKey(name, type_ + cursor.take(_width(type_id, name), name))
    element, count = cursor.take(4, name), cursor.take(8, name)
    element_id, n = (int.from_bytes(raw, "little") for raw in (element, count))
    if n > MAX_ARRAY:
        raise GGUFError(f"{name} is an array of {n} elements", field=name)
    if element_id == _STRING:
        texts = cursor.texts(n, MAX_TOKEN, name)
        values = b"".join(part for text in texts for part in _sized(text))
    else:
        values = cursor.take(n * _width(element_id, name), name)
    return RawKey(name, type_ + element + count + values)


def _read_string(cursor: Cursor, cap: int, field: str) -> bytes:
    return b"".join(_sized(cursor.text(cap, field)))


def _sized(raw: bytes) -> tuple[bytes, bytes]:
    return _U64.pack(len(raw)), raw


def _width(type_id: int, field: str) -> int:
    try:
        return _WIDTHS[type_id]
    except KeyError:
        msg = f"{field} has the value type {type_id}, which does not exist here"
        raise GGUFError(msg, field=field) from None
