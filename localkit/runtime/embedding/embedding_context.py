"""A llama.cpp context that outputs states instead of logits. Owner thread only."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from localkit.errors import Cancelled, LoadFailed, RuntimeFailure
from localkit.runtime import library, logs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from localkit.runtime.params import Pooling

# llama.h, enum llama_pooling_type.
_NONE, _RANK = 0, 4
# A model that also generates computes logits for each token here, wanted or not;
# this many numbers at once are 64 MiB.
_MOST_LOGITS = 1 << 24
_MOST_UBATCH = 512
# Sequences side by side: short inputs share a computation.
_SEQUENCES = 64


class EmbeddingContext:
    """States of the tokens of several inputs, or a head's scores of them."""

    def __init__(
        self,
        engine: Any,
        model: Any,
        *,
        n_room: int,
        n_threads: int,
        ranks: bool,
        abort_flag: ctypes.Array[ctypes.c_char],
    ) -> None:
        """Allocate for ``n_room`` tokens.

        Raises:
            LoadFailed: llama.cpp refuses; says why.
        """
        self._engine = engine
        self._model = model
        self._abort_flag = abort_flag
        self.n_embd: int = engine.llama_model_n_embd_out(model)
        self.n_scores: int = engine.llama_model_n_cls_out(model)
        self.n_seq_max = _SEQUENCES
        n_vocab = engine.llama_vocab_n_tokens(engine.llama_model_get_vocab(model))
        chunk = min(n_room, _MOST_UBATCH, max(32, _MOST_LOGITS // n_vocab))
        self._encodes: bool = engine.llama_model_has_encoder(model)
        # Only the context knows whether the model looks both ways; such a model
        # takes an input whole or not at all.
        self._context = self._make(n_room, chunk, n_threads, ranks=ranks)
        self._memory = engine.llama_get_memory(self._context)
        whole = (
            self._encodes
            or not self._memory
            or not engine.llama_get_causal_attn(self._context)
        )
        if whole and chunk < n_room:
            self.close()
            chunk = n_room
            self._context = self._make(n_room, chunk, n_threads, ranks=ranks)
            self._memory = engine.llama_get_memory(self._context)
        self.n_room = n_room
        self._chunk = chunk
        self.n_positions = engine.llama_model_n_ctx_train(model) if whole else 1 << 31
        """Longest input that the model has positions for."""
        self._batch = _Batch(engine, chunk)

    def pooled(
        self, inputs: Sequence[Sequence[int]], pooling: Pooling
    ) -> NDArray[np.float32]:
        """Return the mean, first or last state of each input, shape (n, n_embd)."""
        sums = np.zeros((len(inputs), self.n_embd))
        for owners, places in self._compute(inputs):
            states = self._states(len(owners))
            if pooling == "mean":
                np.add.at(sums, owners, states)
                continue
            lengths = np.array([len(tokens) for tokens in inputs])
            wanted = places == (0 if pooling == "cls" else lengths[owners] - 1)
            sums[owners[wanted]] = states[wanted]
        if pooling == "mean":
            sums /= np.array([[len(tokens)] for tokens in inputs])
        return sums.astype(np.float32)

    def scores(self, inputs: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return the head's output for each input, shape (n, n_scores)."""
        scores = np.zeros((len(inputs), self.n_scores), np.float32)
        for owners, _ in self._compute(inputs):
            # An input cut in two is scored twice; the second time it is whole.
            for owner in np.unique(owners):
                pointer = self._engine.llama_get_embeddings_seq(
                    self._context, int(owner)
                )
                scores[owner] = np.ctypeslib.as_array(pointer, shape=(self.n_scores,))
        return scores

    def set_threads(self, n_threads: int) -> None:
        """Use this many threads from now on."""
        self._engine.llama_set_n_threads(self._context, n_threads, n_threads)

    def close(self) -> None:
        """Free the context."""
        self._engine.llama_free(self._context)

    def _compute(
        self, inputs: Sequence[Sequence[int]]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Compute the inputs chunk by chunk; yield each token's input and place."""
        tokens = np.concatenate([np.asarray(one, np.int32) for one in inputs])
        owners = np.repeat(np.arange(len(inputs)), [len(one) for one in inputs])
        places = np.concatenate([np.arange(len(one)) for one in inputs])
        if self._memory:
            self._engine.llama_memory_clear(self._memory, False)
        for start in range(0, len(tokens), self._chunk):
            part = slice(start, start + self._chunk)
            self._run(self._batch.fill(tokens[part], places[part], owners[part]))
            yield owners[part], places[part]

    def _run(self, batch: Any) -> None:
        engine = self._engine
        run = engine.llama_encode if self._encodes else engine.llama_decode
        code = run(self._context, batch)
        if code == 0:
            engine.llama_synchronize(self._context)
            return
        if code == 2:
            msg = "the engine was told to stop"
            raise Cancelled(msg)
        msg = f"llama.cpp computed no states: code {code}"
        raise RuntimeFailure(msg, hint="`%llm log` has the engine's own words")

    def _states(self, n_rows: int) -> NDArray[np.float32]:
        pointer = self._engine.llama_get_embeddings(self._context)
        return np.ctypeslib.as_array(pointer, shape=(n_rows, self.n_embd))

    def _make(self, n_room: int, chunk: int, n_threads: int, *, ranks: bool) -> Any:
        engine = self._engine
        native = engine.llama_context_default_params()
        native.n_ctx = n_room
        native.n_batch = native.n_ubatch = chunk
        native.n_seq_max = _SEQUENCES
        native.n_threads = native.n_threads_batch = n_threads
        native.embeddings = True
        native.pooling_type = _RANK if ranks else _NONE
        native.kv_unified = True
        native.no_perf = True
        native.abort_callback = library.abort_callback()
        native.abort_callback_data = ctypes.cast(self._abort_flag, ctypes.c_void_p)
        with logs.captured() as lines:
            context = engine.llama_init_from_model(self._model, native)
        if not context:
            reason = "; ".join(logs.errors(lines)) or "no reason given"
            msg = f"llama.cpp made no context to embed {n_room} tokens: {reason}"
            raise LoadFailed(msg, hint="embed shorter inputs, or unload another model")
        return context


class _Batch:
    """Arrays laid out as llama_batch wants them; every token is an output."""

    def __init__(self, engine: Any, capacity: int) -> None:
        self._tokens = np.zeros(capacity, np.int32)
        self._places = np.zeros(capacity, np.int32)
        self._owners = np.zeros(capacity, np.int32)
        self._counts = np.ones(capacity, np.int32)
        self._wanted = np.ones(capacity, np.int8)
        # llama_batch wants a pointer per token to that token's sequence ids.
        self._pointers = self._owners.ctypes.data + 4 * np.arange(
            capacity, dtype=np.uintp
        )
        int32_p = ctypes.POINTER(ctypes.c_int32)
        self._native = engine.llama_batch(
            n_tokens=0,
            token=self._tokens.ctypes.data_as(int32_p),
            embd=None,
            pos=self._places.ctypes.data_as(int32_p),
            n_seq_id=self._counts.ctypes.data_as(int32_p),
            seq_id=self._pointers.ctypes.data_as(ctypes.POINTER(int32_p)),
            logits=self._wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )

    def fill(
        self,
        tokens: NDArray[np.int32],
        places: NDArray[np.intp],
        owners: NDArray[np.intp],
    ) -> Any:
        n = len(tokens)
        self._tokens[:n] = tokens
        self._places[:n] = places
        self._owners[:n] = owners
        self._native.n_tokens = n
        return self._native
