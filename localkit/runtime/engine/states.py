"""The KV cache of a prompt as bytes: saved, checked, put back."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from localkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAGIC = b"localkit-state-1\n"
# What is read of a model file to tell it from others: 64 places of 4 KiB.
_N_PLACES, _PLACE_BYTES = 64, 4096


class State(NamedTuple):
    """Tokens and the cells llama.cpp computed for them."""

    tokens: list[int]
    cells: bytes


def pack(tokens: Sequence[int], cells: bytes, *, made_by: str) -> bytes:
    """Return one byte string: a line of JSON, then the cells.

    Args:
        tokens: What the cells hold.
        cells: As llama.cpp writes them.
        made_by: Whatever must be the same where they are put back.
    """
    head = {
        "tokens": list(tokens),
        "made_by": made_by,
        "sha256": _digest(tokens, cells),
    }
    return _MAGIC + json.dumps(head).encode() + b"\n" + cells


def unpack(state: bytes, *, made_by: str) -> State:
    """Return what `pack` was given.

    llama.cpp trusts the cells it reads, so nothing that was damaged gets there.

    Raises:
        UsageError: not a state, damaged, or made by something else.
    """
    line, _, cells = state.removeprefix(_MAGIC).partition(b"\n")
    hint = "save it again with `save_state` on this model"
    if not state.startswith(_MAGIC):
        msg = f"{len(state)} bytes that are no saved state"
        raise UsageError(msg, hint=hint)
    try:
        head = json.loads(line)
        tokens = [int(token) for token in head["tokens"]]
        maker, digest = str(head["made_by"]), str(head["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"the head of the saved state is damaged: {error}"
        raise UsageError(msg, hint=hint) from error
    if _digest(tokens, cells) != digest:
        msg = f"the saved state of {len(tokens)} tokens is damaged"
        raise UsageError(msg, hint=hint)
    if maker != made_by:
        msg = f"the state was saved by {maker}, this is {made_by}"
        raise UsageError(msg, hint=hint)
    return State(tokens, cells)


def weights_mark(path: Path) -> str:
    """Return a short digest of samples of a model file, of its size and its ends.

    Two models of the same shape and name differ in it: weights do everywhere.

    Raises:
        OSError: the file cannot be read any more.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = file.seek(0, 2)
        digest.update(f"{size}".encode())
        last = max(0, size - _PLACE_BYTES)
        for place in range(_N_PLACES):
            file.seek(last * place // (_N_PLACES - 1))
            digest.update(file.read(_PLACE_BYTES))
    return digest.hexdigest()[:16]


def _digest(tokens: Sequence[int], cells: bytes) -> str:
    """Return the sha256 of the tokens, in decimal, and of their cells."""
    return hashlib.sha256(f"{list(tokens)}".encode() + cells).hexdigest()
