"""What parent and worker say to each other: framed JSON with raw bytes behind.

A frame is two little-endian uint32 lengths, a JSON object, and a body that the
object describes: arrays, text, or saved state. Nothing is unpickled, and what a
length or an array may claim is bounded, because the other side runs native code
over files that nobody vouches for.
"""

from __future__ import annotations

import json
import struct
from math import prod
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from localkit.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_LENGTHS: Final = struct.Struct("<II")
MAX_HEAD: Final = 256 << 20
"""Bytes of JSON: an answer of 256k tokens with 20 logprobs each takes half."""
MAX_BODY: Final = (4 << 30) - 1
"""Bytes of a body: what its length can say."""
_DTYPES: Final = ("<f4", "<f8", "<i8", "|u1")
_MAX_ARRAYS: Final = 1 << 20
_PIECE: Final = 1 << 24


class Message(NamedTuple):
    """One frame."""

    head: dict[str, Any]
    body: bytes | bytearray | memoryview = b""


def write(stream: IO[bytes], message: Message) -> None:
    """Write a frame; the caller flushes.

    Raises:
        RuntimeFailure: the message is larger than a frame may be.
        OSError: nobody reads any more.
    """
    head = json.dumps(message.head, separators=(",", ":")).encode()
    if len(head) > MAX_HEAD or len(message.body) > MAX_BODY:
        size = len(head) + len(message.body)
        msg = f"{size / 2**30:.1f} GiB are more than one message to a worker carries"
        raise RuntimeFailure(msg, hint="ask for less at once, or load without isolate")
    stream.write(_LENGTHS.pack(len(head), len(message.body)))
    stream.write(head)
    stream.write(message.body)


def read(stream: IO[bytes]) -> Message | None:
    """Return the next frame; None when the other side is gone, in mid-frame too.

    Raises:
        RuntimeFailure: what came is no frame.
    """
    lengths = _exactly(stream, _LENGTHS.size)
    if lengths is None:
        return None
    n_head, n_body = _LENGTHS.unpack(lengths)
    if n_head > MAX_HEAD:
        raise _broken(f"announces {n_head} bytes of JSON")
    head = _exactly(stream, n_head)
    body = None if head is None else _exactly(stream, n_body)
    if head is None or body is None:
        return None
    try:
        parsed = json.loads(head)
    except (ValueError, RecursionError) as error:
        raise _broken("is not JSON") from error
    if not isinstance(parsed, dict):
        raise _broken("is no JSON object")
    return Message(parsed, body)


def with_arrays(head: dict[str, Any], arrays: Iterable[NDArray[np.generic]]) -> Message:
    """Return a message that carries ``arrays``: float32, float64, int64 or uint8."""
    plain = [np.ascontiguousarray(array) for array in arrays]
    kinds = [[array.dtype.str, list(array.shape)] for array in plain]
    if len(plain) == 1:  # a block of logits is 100 MB: no copy
        body: bytes | memoryview = plain[0].reshape(-1).view(np.uint8).data
    else:
        body = b"".join(array.tobytes() for array in plain)
    return Message({**head, "arrays": kinds}, body)


def arrays(message: Message) -> list[NDArray[Any]]:
    """Return the arrays of a message; writable, and the caller's own.

    Raises:
        RuntimeFailure: the head does not describe the body.
    """
    kinds = message.head.get("arrays")
    if not isinstance(kinds, list) or len(kinds) > _MAX_ARRAYS:
        raise _broken("lists no arrays")
    found, at = [], 0
    for kind in kinds:
        dtype, shape = _kind(kind)
        size = prod(shape) * dtype.itemsize
        if at + size > len(message.body):
            raise _broken("has fewer bytes than its arrays")
        flat = np.frombuffer(message.body, dtype, prod(shape), at)
        found.append(flat.reshape(shape))
        at += size
    return found


def _kind(kind: Any) -> tuple[np.dtype[Any], Sequence[int]]:
    match kind:
        case [str(name), [*shape]] if (
            name in _DTYPES
            and len(shape) <= 4
            and all(type(n) is int and 0 <= n <= MAX_BODY for n in shape)
        ):
            return np.dtype(name), shape
    raise _broken(f"has an array of kind {str(kind)[:60]}")


def token_lists(lists: Iterable[Sequence[int]]) -> list[NDArray[np.int64]]:
    """Return each list of tokens as an array to send."""
    return [np.array(tokens, np.int64) for tokens in lists]


def _exactly(stream: IO[bytes], n: int) -> bytearray | None:
    """Return ``n`` bytes, or None when there are no more."""
    data = bytearray()
    while len(data) < n:
        # A step at a time: a length that lies takes no memory.
        part = stream.read(min(n - len(data), _PIECE))
        if not part:
            return None
        data += part
    return data


def _broken(why: str) -> RuntimeFailure:
    return RuntimeFailure(f"a message between kernel and worker {why}")
