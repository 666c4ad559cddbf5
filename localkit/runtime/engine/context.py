"""A llama.cpp context and the batch that feeds it. Owner thread only."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from localkit.errors import Cancelled, LoadFailed, RuntimeFailure
from localkit.runtime import library, logs
from localkit.runtime.engine.batch import Batch
from localkit.runtime.engine.drawing import Drawing
from localkit.runtime.engine.plan import LEAST_CHUNK
from localkit.runtime.engine.switching import quick_calls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from localkit.runtime.protocol import LoadParams

_KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")

# Most logits of one decode. llama.cpp's buffer is made for as many: 514 MiB for
# 512 rows of a vocabulary of 262k, more than twice such a model's weights.
_OUTPUT_BYTES = 64 * 2**20


def output_rows(n_vocab: int, params: LoadParams) -> int:
    """Return the most rows of logits that one decode gives.

    At least `LEAST_CHUNK` and the number of slots, else as many as fit 64 MiB.
    """
    rows = _OUTPUT_BYTES // (4 * n_vocab) // LEAST_CHUNK * LEAST_CHUNK
    return min(params.n_ubatch, max(rows, LEAST_CHUNK, params.n_seq_max))


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
        self,
        engine: Any,
        model: Any,
        params: LoadParams,
        *,
        n_ctx: int,
        n_threads: int,
        abort_flag: ctypes.Array[ctypes.c_char] | None = None,
        observer: Any = None,
    ) -> None:
        """Allocate for ``n_ctx`` tokens; ``abort_flag`` may be another context's.

        ``observer`` is a native callback that is shown each node of the graph.

        Raises:
            LoadFailed: llama.cpp refuses the combination; says why.
        """
        self._engine = engine
        self._quick = quick_calls(engine)
        self.n_vocab: int = engine.llama_vocab_n_tokens(
            engine.llama_model_get_vocab(model)
        )
        self.abort_flag = abort_flag or library.abort_flag()
        # ctypes frees a callback that nobody holds.
        self._observer = observer
        with logs.captured() as lines:
            self._context = engine.llama_init_from_model(
                model, self._native_params(params, n_ctx, n_threads)
            )
        if not self._context:
            reason = "; ".join(logs.errors(lines)) or "no reason given"
            msg = f"llama.cpp made no context of {n_ctx} tokens: {reason}"
            raise LoadFailed(msg, hint="try a smaller n_ctx, or kv_type='f16'")
        self._memory = engine.llama_get_memory(self._context)
        self.has_memory = bool(self._memory)
        """Whether there is a KV cache; encoders have none."""
        self.n_ctx: int = engine.llama_n_ctx(self._context)
        self.n_batch: int = engine.llama_n_batch(self._context)
        self.n_ubatch: int = engine.llama_n_ubatch(self._context)
        self.n_outputs_max = min(self.n_ubatch, output_rows(self.n_vocab, params))
        self._view: NDArray[np.float32] = np.empty((0, self.n_vocab), np.float32)
        self._view_key: tuple[int, int] = (0, 0)
        self._batch = Batch(engine, self.n_batch)
        self._n_threads = n_threads
        self._drawing = Drawing(engine, self._context, self.n_vocab)

    def _native_params(self, params: LoadParams, n_ctx: int, n_threads: int) -> Any:
        engine = self._engine
        kv_type = getattr(engine, f"GGML_TYPE_{params.kv_type.upper()}")
        native = engine.llama_context_default_params()
        native.n_ctx = n_ctx
        native.n_batch = min(params.n_batch, n_ctx)
        native.n_ubatch = min(params.n_ubatch, native.n_batch)
        native.n_seq_max = params.n_seq_max
        native.n_outputs_max = min(native.n_ubatch, output_rows(self.n_vocab, params))
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
        native.abort_callback_data = ctypes.cast(self.abort_flag, ctypes.c_void_p)
        if self._observer is not None:
            native.cb_eval = self._observer
        return native

    @property
    def native(self) -> Any:
        """The C context, for what another library does to it."""
        return self._context

    def abort(self, stop: bool) -> None:
        """Make the decode in progress return soon, or clear that wish. Any thread."""
        self.abort_flag[0] = b"\x01" if stop else b"\x00"

    def set_threads(self, n_threads: int) -> None:
        """Use this many threads for prefill and decode from now on."""
        self._n_threads = n_threads
        self._quick.llama_set_n_threads(self._context, n_threads, n_threads)

    def clear(self) -> None:
        """Forget every sequence."""
        self._quick.llama_memory_clear(self._memory, False)

    def copy_sequence(self, source: int, target: int, *, end: int = -1) -> None:
        """Let ``target`` share the cells of ``source`` up to position ``end``."""
        self._quick.llama_memory_seq_cp(self._memory, source, target, 0, end)

    def drop_sequence(self, sequence: int, *, start: int = 0) -> bool:
        """Forget a sequence from position ``start`` on; False if it cannot be cut."""
        dropped: bool = self._quick.llama_memory_seq_rm(
            self._memory, sequence, start, -1
        )
        return dropped

    def first_position(self, sequence: int) -> int:
        """Return the lowest position kept; above 0 where windowed layers forgot."""
        position: int = self._quick.llama_memory_seq_pos_min(self._memory, sequence)
        return position

    def try_decode(
        self,
        tokens: Sequence[int],
        *,
        start: int | Sequence[int],
        outputs: slice | Sequence[int],
        sequences: int | Sequence[int] = 0,
    ) -> int:
        """Compute as `decode`, but return llama.cpp's code: 0 is success.

        1: no free cells; 2: aborted, a part may be in the KV cache; below 0: failed.
        """
        native = self._batch.fill(
            tokens, start=start, outputs=outputs, sequences=sequences
        )
        code: int = self._engine.llama_decode(self._context, native)
        if code == 0:
            self._engine.llama_synchronize(self._context)
        return code

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
        code = self.try_decode(
            tokens, start=start, outputs=outputs, sequences=sequences
        )
        if code:
            raise self.failure(code, len(tokens))

    def failure(self, code: int, n_tokens: int) -> RuntimeFailure:
        """Return the error that a decode of ``n_tokens`` with ``code`` means."""
        if code == 2:
            return Cancelled("the engine was told to stop")
        if code == 1:
            msg = f"no room for {n_tokens} tokens in a context of {self.n_ctx}"
            return RuntimeFailure(msg, hint="load with a larger n_ctx")
        msg = f"llama_decode failed with code {code}"
        return RuntimeFailure(msg, hint="`%llm log` has the engine's own words")

    def prefill(self, tokens: Sequence[int], *, start: int = 0, output: bool) -> None:
        """Compute ``tokens`` of sequence 0 in batches; logits of the last if asked."""
        for at in range(0, len(tokens), self.n_batch):
            part = tokens[at : at + self.n_batch]
            last = output and at + len(part) == len(tokens)
            wanted = [len(part) - 1] if last else []
            self.decode(part, start=start + at, outputs=wanted)

    def logits(self, n_rows: int) -> NDArray[np.float32]:
        """Return a view of the last decode's logits, shape (n_rows, n_vocab)."""
        address: int = self._quick.logits_address(self._context)
        # Making a view takes 0.1 ms; the buffer stays where it is between decodes.
        if (address, n_rows) != self._view_key:
            pointer = ctypes.cast(address, ctypes.POINTER(ctypes.c_float))
            self._view = np.ctypeslib.as_array(pointer, shape=(n_rows, self.n_vocab))
            self._view_key = (address, n_rows)
        return self._view

    def sample(self, sampler: Any, index: int = -1) -> int:
        """Return a token drawn from the logits of the last decode's token ``index``."""
        token: int = self._quick.llama_sampler_sample(sampler, self._context, index)
        return token

    @property
    def draws_side_by_side(self) -> bool:
        """Whether tokens of several answers come sooner from `sample_all`."""
        return self._drawing.pays and self._n_threads > 1

    def sample_all(self, wishes: Sequence[tuple[Any, int]]) -> list[int]:
        """Return what `sample` returns for each (sampler, index), on several threads.

        `logits` must have been called since the decode.
        """
        return self._drawing.draw(wishes, self._n_threads)

    def put_adapters_on(self, pointers: Any, scales: Any) -> None:
        """Compute with these LoRA adapters from now on.

        Raises:
            RuntimeFailure: llama.cpp refuses them.
        """
        code = self._engine.llama_set_adapters_lora(
            self._context, pointers, len(pointers), scales
        )
        if code:
            msg = f"llama_set_adapters_lora failed with code {code}"
            raise RuntimeFailure(msg, hint="`%llm log` has the engine's own words")

    def save_sequence(self, sequence: int) -> bytes:
        """Return the cells of one sequence as llama.cpp writes them."""
        engine = self._engine
        size = engine.llama_state_seq_get_size(self._context, sequence)
        buffer = (ctypes.c_uint8 * size)()
        written = engine.llama_state_seq_get_data(self._context, buffer, size, sequence)
        return bytes(memoryview(buffer)[:written])

    def load_sequence(self, sequence: int, state: bytes) -> bool:
        """Put what `save_sequence` returned into a sequence; False if refused."""
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        read = self._engine.llama_state_seq_set_data(
            self._context, buffer, len(state), sequence
        )
        return bool(read)

    def close(self) -> None:
        """Free the context."""
        self._drawing.close()
        self._engine.llama_free(self._context)
