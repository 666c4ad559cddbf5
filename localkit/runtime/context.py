"""A llama.cpp context and the batch that feeds it. Owner thread only."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from localkit.errors import Cancelled, LoadFailed, RuntimeFailure
from localkit.runtime import library, logs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from localkit.runtime.protocol import LoadParams

_KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")


def check_kv_type(name: str) -> None:
    """Refuse a type that llama.cpp has no KV cache for.

    Raises:
        LoadFailed: lists the types there are.
    """
    if name not in _KV_TYPES:
        msg = f"kv_type is '{name}'"
        raise LoadFailed(msg, hint=f"give one of {', '.join(_KV_TYPES)}")


class Context:
    """KV cache, compute buffers and output buffer of one model."""

    def __init__(
        self, engine: Any, model: Any, params: LoadParams, *, n_ctx: int, n_threads: int
    ) -> None:
        """Allocate for ``n_ctx`` tokens.

        Raises:
            LoadFailed: llama.cpp refuses the combination; says why.
        """
        self._engine = engine
        self.n_vocab: int = engine.llama_vocab_n_tokens(
            engine.llama_model_get_vocab(model)
        )
        self._abort_flag = library.abort_flag()
        with logs.captured() as lines:
            self._context = engine.llama_init_from_model(
                model, self._native_params(params, n_ctx, n_threads)
            )
        if not self._context:
            reason = "; ".join(logs.errors(lines)) or "no reason given"
            msg = f"llama.cpp made no context of {n_ctx} tokens: {reason}"
            raise LoadFailed(msg, hint="try a smaller n_ctx, or kv_type='f16'")
        self._memory = engine.llama_get_memory(self._context)
        self.n_ctx: int = engine.llama_n_ctx(self._context)
        self.n_batch: int = engine.llama_n_batch(self._context)
        self.n_ubatch: int = engine.llama_n_ubatch(self._context)
        self._batch = _Batch(engine, self.n_batch)

    def _native_params(self, params: LoadParams, n_ctx: int, n_threads: int) -> Any:
        engine = self._engine
        kv_type = getattr(engine, f"GGML_TYPE_{params.kv_type.upper()}")
        native = engine.llama_context_default_params()
        native.n_ctx = n_ctx
        native.n_batch = min(params.n_batch, n_ctx)
        native.n_ubatch = min(params.n_ubatch, native.n_batch)
        native.n_seq_max = params.n_seq_max
        native.n_threads = n_threads
        native.n_threads_batch = n_threads
        native.type_k = kv_type
        native.type_v = kv_type
        native.flash_attn_type = (
            engine.LLAMA_FLASH_ATTN_TYPE_AUTO
            if params.flash_attn is None
            else int(params.flash_attn)
        )
        # The API's default keeps the whole context for windowed layers too; the
        # tools do not (gemma-3-270m at 32k: 480 MiB against 15).
        native.swa_full = False
        # One buffer for all sequences lets them share a prompt.
        native.kv_unified = True
        native.no_perf = True
        native.abort_callback = library.abort_callback()
        native.abort_callback_data = ctypes.cast(self._abort_flag, ctypes.c_void_p)
        return native

    def abort(self, stop: bool) -> None:
        """Make the decode in progress return soon, or clear that wish. Any thread."""
        self._abort_flag[0] = b"\x01" if stop else b"\x00"

    def set_threads(self, n_threads: int) -> None:
        """Use this many threads for prefill and decode from now on."""
        self._engine.llama_set_n_threads(self._context, n_threads, n_threads)

    def clear(self) -> None:
        """Forget every sequence."""
        self._engine.llama_memory_clear(self._memory, False)

    def copy_sequence(self, source: int, target: int) -> None:
        """Let ``target`` share the cells of ``source``."""
        self._engine.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def drop_sequence(self, sequence: int, *, start: int = 0) -> None:
        """Forget a sequence from position ``start`` on."""
        self._engine.llama_memory_seq_rm(self._memory, sequence, start, -1)

    def decode(
        self,
        tokens: Sequence[int],
        *,
        start: int | Sequence[int],
        outputs: slice | Sequence[int],
        sequences: int | Sequence[int] = 0,
    ) -> None:
        """Compute ``tokens`` and keep logits where ``outputs`` says.

        Args:
            tokens: At most ``n_batch`` token ids.
            start: Position of the first token, or a position per token.
            outputs: Indices into ``tokens`` whose logits are wanted.
            sequences: Sequence id of all tokens, or one per token.

        Raises:
            Cancelled: `abort` was called.
            RuntimeFailure: llama.cpp reports a failure.
        """
        native = self._batch.fill(tokens, start, outputs, sequences)
        code = self._engine.llama_decode(self._context, native)
        if code == 0:
            self._engine.llama_synchronize(self._context)
            return
        if code == 2:
            msg = "the engine was told to stop"
            raise Cancelled(msg)
        if code == 1:
            msg = f"no room for {len(tokens)} tokens in a context of {self.n_ctx}"
            raise RuntimeFailure(msg, hint="load with a larger n_ctx")
        msg = f"llama_decode failed with code {code}"
        raise RuntimeFailure(msg, hint="`%llm log` has the engine's own words")

    def prefill(self, tokens: Sequence[int], *, start: int = 0, output: bool) -> None:
        """Compute ``tokens`` of sequence 0 in batches; logits of the last if asked."""
        for at in range(0, len(tokens), self.n_batch):
            part = tokens[at : at + self.n_batch]
            last = output and at + len(part) == len(tokens)
            wanted = [len(part) - 1] if last else []
            self.decode(part, start=start + at, outputs=wanted)

    def logits(self, n_rows: int) -> NDArray[np.float32]:
        """Return a view of the last decode's logits, shape (n_rows, n_vocab)."""
        pointer = self._engine.llama_get_logits(self._context)
        return np.ctypeslib.as_array(pointer, shape=(n_rows, self.n_vocab))

    def sample(self, sampler: Any) -> int:
        """Return a token drawn from the last decode's last logits."""
        token: int = self._engine.llama_sampler_sample(sampler, self._context, -1)
        return token

    def close(self) -> None:
        """Free the context."""
        self._engine.llama_free(self._context)


class _Batch:
    """Arrays laid out as llama_batch wants them, allocated once."""

    def __init__(self, engine: Any, capacity: int) -> None:
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
        start: int | Sequence[int],
        outputs: slice | Sequence[int],
        sequences: int | Sequence[int],
    ) -> Any:
        n = len(tokens)
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
