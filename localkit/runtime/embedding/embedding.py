"""Vectors of texts, and a reranker's scores. Owner thread only.

A context that keeps embeddings outputs every token it computes, so it is made
beside the one that generates, at the first call, and only as large as the inputs
ask for. Pooling over tokens is done here, from the states of each token: one
context then serves mean, cls and last, and a long input of a causal model need
not be computed at once.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from localkit.errors import Cancelled, ContextTooLong, Unsupported, UsageError
from localkit.runtime.embedding.embedding_context import EmbeddingContext
from localkit.runtime.params import Pooling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from localkit.events import CancelToken

# llama.h, enum llama_pooling_type, as a file's metadata names it.
_NAMES: dict[str, Pooling] = {"1": "mean", "2": "cls", "3": "last", "4": "rank"}
# Room to begin with; most inputs are shorter, and a longer one makes a larger one.
_LEAST_ROOM = 512


class Embedder:
    """What one model embeds and ranks with; makes nothing before its first call."""

    def __init__(
        self,
        engine: Any,
        model: Any,
        *,
        n_ctx: int,
        n_threads: int,
        abort_flag: ctypes.Array[ctypes.c_char],
    ) -> None:
        """Remember what the contexts will be made of.

        Args:
            engine: The ``llama_cpp`` module.
            model: A loaded ``llama_model``.
            n_ctx: Longest input in tokens.
            n_threads: Threads to compute with.
            abort_flag: Set from any thread to stop the computation in progress.
        """
        self._engine = engine
        self._model = model
        self._n_threads = n_threads
        self._abort_flag = abort_flag
        self._limit = n_ctx
        self._own = _own_pooling(engine, model)
        # By whether llama.cpp pools, which it does for ranking alone.
        self._contexts: dict[bool, EmbeddingContext] = {}

    def embed(
        self,
        inputs: Sequence[Sequence[int]],
        *,
        pooling: Pooling | None,
        normalize: bool,
        cancel: CancelToken,
    ) -> NDArray[np.float32]:
        """Return one vector per input, shape (n_inputs, n_embd).

        Raises:
            ContextTooLong: an input exceeds the context.
            UsageError: an input is empty, or no pooling is called so.
            Unsupported: ``rank`` of a model that was not made to rank.
            Cancelled: ``cancel`` was raised.
        """
        pooling = self._checked(pooling)
        if any(not tokens for tokens in inputs):
            msg = "an input to embed has no tokens"
            raise UsageError(msg, hint="give each at least one; special tokens count")
        context = self._context(max(map(len, inputs), default=1), pooling)
        width = context.n_scores if pooling == "rank" else context.n_embd
        vectors = np.zeros((len(inputs), width), np.float32)
        for group in _groups(inputs, context):
            if cancel.cancelled:
                msg = "embedding was stopped"
                raise Cancelled(msg)
            together = [inputs[index] for index in group]
            if pooling == "rank":
                vectors[group] = context.scores(together)
            else:
                vectors[group] = context.pooled(together, pooling)
        if normalize and pooling != "rank":
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors

    def set_threads(self, n_threads: int) -> None:
        """Use this many threads from now on."""
        self._n_threads = n_threads
        for context in self._contexts.values():
            context.set_threads(n_threads)

    def close(self) -> None:
        """Free the contexts; before the model is freed. May be called twice."""
        for context in self._contexts.values():
            context.close()
        self._contexts.clear()

    def _checked(self, asked: Pooling | None) -> Pooling:
        pooling = asked or self._own or "mean"
        if pooling not in get_args(Pooling):
            msg = f"pooling is '{pooling}'"
            hint = f"give one of {', '.join(get_args(Pooling))}"
            raise UsageError(msg, hint=hint)
        if pooling == "rank" and self._own != "rank":
            # Without a head llama.cpp would hand out one number of a state.
            msg = f"the model pools by '{self._own or 'mean'}': it is no reranker"
            raise Unsupported(msg, hint="load a reranking model, or compare vectors")
        return pooling

    def _context(self, longest: int, pooling: Pooling) -> EmbeddingContext:
        ranks = pooling == "rank"
        context = self._contexts.get(ranks)
        if context is None or context.n_room < longest:
            if longest > self._limit:
                raise ContextTooLong(longest, self._limit)
            if context is not None:
                del self._contexts[ranks]
                context.close()
            context = EmbeddingContext(
                self._engine,
                self._model,
                n_room=min(_bucket(longest), self._limit),
                n_threads=self._n_threads,
                ranks=ranks,
                abort_flag=self._abort_flag,
            )
            self._contexts[ranks] = context
            # Positions beyond those of a table end the process.
            self._limit = min(self._limit, context.n_positions)
        if longest > self._limit:
            raise ContextTooLong(longest, self._limit, hint="shorten the input")
        return context


def _bucket(n_tokens: int) -> int:
    """Return the power of two that holds ``n_tokens``, from `_LEAST_ROOM` on."""
    return max(_LEAST_ROOM, 1 << (n_tokens - 1).bit_length())


def _groups(
    inputs: Sequence[Sequence[int]], context: EmbeddingContext
) -> Iterator[list[int]]:
    """Yield indices of inputs that are computed together."""
    group: list[int] = []
    n_tokens = 0
    for index, tokens in enumerate(inputs):
        full = n_tokens + len(tokens) > context.n_room
        if group and (full or len(group) == context.n_seq_max):
            yield group
            group, n_tokens = [], 0
        group.append(index)
        n_tokens += len(tokens)
    if group:
        yield group


def _own_pooling(engine: Any, model: Any) -> Pooling | None:
    """Return what the file says under ``{architecture}.pooling_type``."""
    architecture = metadata(engine, model, "general.architecture")
    return _NAMES.get(metadata(engine, model, f"{architecture}.pooling_type"))


def metadata(engine: Any, model: Any, key: str) -> str:
    """Return a metadata value of a loaded model as text; empty without one."""
    room = 64
    buffer = ctypes.create_string_buffer(room)
    n = engine.llama_model_meta_val_str(model, key.encode(), buffer, room)
    return buffer.value.decode(errors="replace") if 0 <= n < room else ""
