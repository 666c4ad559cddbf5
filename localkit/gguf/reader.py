"""Reading a GGUF header: bounded in bytes and time, tensor data never touched.

Layout (llama.cpp ``docs/gguf.md``): magic, version, tensor count, key count;
the keys with their values; the tensor table; padding; the tensor data.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

from localkit.errors import GGUFError
from localkit.gguf.cursor import Cursor, too_large
from localkit.gguf.foreign import describe
from localkit.gguf.tensors import TensorInfo, check_layout, padded, read_tensor

if TYPE_CHECKING:
    import os
    from array import array
    from collections.abc import Mapping

MAX_HEADER: Final = 256 << 20
"""Bytes before the tensor data; a 262144-token vocabulary takes about 15 MiB."""
MAX_KEYS: Final = 4096
MAX_TENSORS: Final = 65_536
MAX_ARRAY: Final = 4 << 20
"""Elements of one array."""
MAX_KEY: Final = 65_535
"""Bytes of a key, by the format's definition."""
MAX_STRING: Final = 16 << 20
"""Bytes of a string value."""
MAX_TEMPLATE: Final = 1 << 20
"""Bytes of a chat template."""
MAX_TOKEN: Final = 1 << 20
"""Bytes of one string in an array."""
MAX_ALIGNMENT: Final = 1 << 16
DEFAULT_ALIGNMENT: Final = 32
VERSIONS: Final = (2, 3)

Value: TypeAlias = "bool | int | float | str | array[Any] | tuple[bytes, ...]"
"""A metadata value. Arrays of numbers and bools are `array`; arrays of strings
stay undecoded, because a token need not be whole characters."""

_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
_I64: Final = struct.Struct("<q")
_STRING: Final = 8
_ARRAY: Final = 9
_BOOL: Final = 7
_NUMBERS: Final[dict[int, tuple[struct.Struct, str]]] = {
    0: (struct.Struct("<B"), "B"),
    1: (struct.Struct("<b"), "b"),
    2: (struct.Struct("<H"), "H"),
    3: (struct.Struct("<h"), "h"),
    4: (struct.Struct("<I"), "I"),
    5: (struct.Struct("<i"), "i"),
    6: (struct.Struct("<f"), "f"),
    _BOOL: (struct.Struct("<B"), "B"),
    10: (struct.Struct("<Q"), "Q"),
    11: (struct.Struct("<q"), "q"),
    12: (struct.Struct("<d"), "d"),
}
"""Value type to its layout and `array` typecode."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the tensor data."""

    version: int
    kv: Mapping[str, Value]
    """Metadata in the file's order."""
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    """Bytes from the beginning of the file to the tensor data."""
    alignment: int
    file_size: int


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read the header of the GGUF at ``path``.

    Strings that are not UTF-8 show U+FFFD where they break; keys and tensor
    names that are not are refused.

    Raises:
        GGUFError: no such file, not a GGUF, or one that cannot be sound.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # opening a FIFO would wait for a writer
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise GGUFError(
                f"{path.name} is {kind}", hint="give the path of a .gguf file"
            )
        with path.open("rb") as file:
            return read_stream(file, path.name)
    except FileNotFoundError:
        raise GGUFError(f"there is no file {path}", hint="check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise GGUFError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}",
            hint="check the path and its permissions",
        ) from error


def read_stream(file: BinaryIO, name: str) -> Header:
    """Read the header of a GGUF that is open, or that comes as it is read.

    Read from its beginning to the end of the header and no further; ``seek`` tells
    the size of the whole file.

    Raises:
        GGUFError: not a GGUF, or one that cannot be sound.
    """
    size = file.seek(0, 2)
    file.seek(0)
    # Files of /proc have no size, and what they hold is nobody's model.
    start = file.read(64) if size else b""
    if start[:4] != b"GGUF":
        what, hint = describe(start)
        raise GGUFError(f"{name} is not a GGUF: it {what}", hint=hint, offset=0)
    file.seek(0)
    cursor = Cursor(file, size=size, limit=MAX_HEADER)
    cursor.take(4, "the magic")
    version = _read_version(cursor)
    n_tensors = _read_count(cursor, "tensor count", MAX_TENSORS)
    n_keys = _read_count(cursor, "key count", MAX_KEYS)
    kv: dict[str, Value] = {}
    for index in range(n_keys):
        key = _read_key(cursor, index)
        if key in kv:
            raise GGUFError(
                f"the key {key} stands there twice", offset=cursor.offset, field=key
            )
        kv[key] = _read_value(cursor, key)
    alignment = _alignment(kv)
    tensors = tuple(read_tensor(cursor, index) for index in range(n_tensors))
    data_offset = padded(cursor.offset, alignment) if tensors else cursor.offset
    check_layout(tensors, data_offset=data_offset, alignment=alignment, file_size=size)
    return Header(version, kv, tensors, data_offset, alignment, size)


def _read_version(cursor: Cursor) -> int:
    version: int = cursor.number(_U32, "the version")
    if version in VERSIONS:
        return version
    if version and version & 0xFFFF == 0:  # 3 read with its bytes reversed
        raise GGUFError(
            "the file is a GGUF for big-endian machines",
            hint="convert it with `gguf-convert-endian`, or get a little-endian one",
            offset=4,
            field="version",
        )
    raise GGUFError(
        f"the file is GGUF version {version}; versions 2 and 3 can be read",
        hint="convert the model again" if version == 1 else "update localkit",
        offset=4,
        field="version",
    )


def _read_count(cursor: Cursor, field: str, cap: int) -> int:
    count: int = cursor.number(_I64, field)
    if count < 0:
        raise GGUFError(f"the {field} is {count}", offset=cursor.offset, field=field)
    if count > cap:
        raise too_large(f"the {field} is {count}", cap, cursor, field)
    return count


def _read_key(cursor: Cursor, index: int) -> str:
    field = f"key {index}"
    raw = cursor.text(MAX_KEY, field)
    try:
        key = raw.decode()
    except UnicodeDecodeError:
        key = ""
    if not key:
        raise GGUFError(
            f"{field} is {raw[:64]!r}, which is no name",
            offset=cursor.offset,
            field=field,
        )
    return key


def _read_value(cursor: Cursor, key: str) -> Value:
    type_id = cursor.number(_U32, key)
    if type_id == _STRING:
        is_template = key.startswith("tokenizer.chat_template")
        cap = MAX_TEMPLATE if is_template else MAX_STRING
        return cursor.text(cap, key).decode(errors="replace")
    if type_id == _ARRAY:
        return _read_array(cursor, key)
    layout, _ = _number_type(type_id, cursor, key)
    value: int | float = cursor.number(layout, key)
    return bool(value) if type_id == _BOOL else value


def _read_array(cursor: Cursor, key: str) -> Value:
    type_id = cursor.number(_U32, key)
    n = cursor.number(_U64, key)
    if n > MAX_ARRAY:
        raise too_large(f"{key} is an array of {n} elements", MAX_ARRAY, cursor, key)
    if type_id == _STRING:
        return cursor.texts(n, MAX_TOKEN, key)
    _, typecode = _number_type(type_id, cursor, key)
    return cursor.numbers(typecode, n, key)


def _number_type(type_id: int, cursor: Cursor, key: str) -> tuple[struct.Struct, str]:
    try:
        return _NUMBERS[type_id]
    except KeyError:
        raise GGUFError(
            f"{key} has the value type {type_id}, which does not exist here",
            offset=cursor.offset,
            field=key,
        ) from None


def _alignment(kv: Mapping[str, Value]) -> int:
    value = kv.get("general.alignment", DEFAULT_ALIGNMENT)
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not 1 <= value <= MAX_ALIGNMENT
        or value & (value - 1)
    ):
        raise GGUFError(
            f"general.alignment is {value!r}, not a power of two "
            f"from 1 to {MAX_ALIGNMENT}",
            field="general.alignment",
        )
    return value
