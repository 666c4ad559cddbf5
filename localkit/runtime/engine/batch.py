"""The arrays that one llama_decode reads, allocated once."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


class Batch:
    """Tokens with their positions, sequences and whether logits are wanted."""

    def __init__(self, engine: Any, capacity: int) -> None:
        """Allocate for ``capacity`` tokens."""
        self._tokens = np.zeros(capacity, np.int32)
        self._positions = np.zeros(capacity, np.int32)
        self._counts = np.ones(capacity, np.int32)
        self._sequences = np.zeros(capacity, np.int32)
        # llama_batch wants a pointer per token to that token's sequence ids.
        self._pointers = self._sequences.ctypes.data + 4 * np.arange(
            capacity, dtype=np.uintp
        )
        self._wanted = np.zeros(capacity, np.int8)
        int32_p = ctypes.POINTER(ctypes.c_int32)
        self._native = engine.llama_batch(
            n_tokens=0,
            token=self._tokens.ctypes.data_as(int32_p),
            embd=None,
            pos=self._positions.ctypes.data_as(int32_p),
            n_seq_id=self._counts.ctypes.data_as(int32_p),
            seq_id=self._pointers.ctypes.data_as(ctypes.POINTER(int32_p)),
            logits=self._wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )

    def fill(
        self,
        tokens: Sequence[int],
        *,
        start: int | Sequence[int],
        outputs: slice | Sequence[int],
        sequences: int | Sequence[int],
    ) -> Any:
        """Return the native batch of ``tokens``; see `Context.decode`."""
        n = len(tokens)
        if n == 1 and outputs == [0]:
            return self._fill_one(tokens[0], start, sequences)
        self._tokens[:n] = tokens
        if isinstance(start, int):
            self._positions[:n] = np.arange(start, start + n)
        else:
            self._positions[:n] = start
        self._sequences[:n] = sequences
        self._wanted[:n] = 0
        self._wanted[:n][outputs] = 1
        self._native.n_tokens = n
        return self._native

    def _fill_one(
        self, token: int, start: int | Sequence[int], sequences: int | Sequence[int]
    ) -> Any:
        """Do the same for the step of a single answer, four times as fast."""
        self._tokens[0] = token
        self._positions[0] = start if isinstance(start, int) else start[0]
        self._sequences[0] = sequences if isinstance(sequences, int) else sequences[0]
        self._wanted[0] = 1
        self._native.n_tokens = 1
        return self._native
