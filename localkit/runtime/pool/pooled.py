"""A session of a pool: loaded when used, and again when it was unloaded since."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from localkit.events import CancelToken, OnProgress, no_progress
from localkit.runtime.pool.pooled_stream import PooledStream
from localkit.runtime.pool.resident import Facts, Holder, Lease, facts_of
from localkit.runtime.protocol import SERVE
from localkit.runtime.values import Activity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.params import Pooling, SamplingParams, ServeParams
    from localkit.runtime.pool.pool import Pool
    from localkit.runtime.pool.resident import Ask
    from localkit.runtime.protocol import Session
    from localkit.runtime.values import (
        ContinuationScore,
        Fingerprint,
        FinishReason,
        Generation,
        MemoryUse,
        StreamTimes,
    )
    from localkit.runtime.vision.images import Image


def use(session: Session) -> AbstractContextManager[Session]:
    """Keep ``session`` loaded over several calls; any session will do."""
    if isinstance(session, PooledSession):
        return session.use()
    return nullcontext(session)


class PooledSession:
    """Every member of `Session`; each call is a use of the model.

    What it says of itself (`n_ctx`, `fingerprint`, …) is known without loading.
    """

    def __init__(
        self, pool: Pool, ask: Ask, *, keep_alive_s: float | None = None
    ) -> None:
        """Load nothing yet."""
        self._pool = pool
        self.holder = Holder(ask, keep_alive_s)
        """How the pool knows it."""
        self._held: Lease | None = None

    @contextmanager
    def use(
        self,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Iterator[Session]:
        """Give the session, loaded; it is not unloaded inside the block.

        Calls of this object from any thread belong to the block.

        Raises:
            SessionClosed: `close` was called.
            Overloaded: too many wait for models to be loaded already.
            DoesNotFit: memory would not hold it, with all idle models unloaded.
            LoadFailed: the engine refuses it.
            Cancelled: ``cancel`` was raised.
        """
        lease = Lease(self.holder, scope=True)
        try:
            yield self._pool.take(lease, on_progress=on_progress, cancel=cancel)
        finally:
            self._pool.release(lease)

    def load(
        self,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> None:
        """Load it unless it is loaded, for a use to come; raises as `use` does."""
        lease = Lease(self.holder, is_use=False)
        try:
            self._pool.take(lease, on_progress=on_progress, cancel=cancel)
        finally:
            self._pool.release(lease)

    def hold(
        self,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> None:
        """Load it and keep it loaded until `close`; raises as `use` does."""
        lease = Lease(self.holder, scope=True)
        try:
            self._pool.take(lease, on_progress=on_progress, cancel=cancel)
        except BaseException:
            self._pool.release(lease)
            raise
        self._held = lease

    @contextmanager
    def call(self, cancel: CancelToken | None = None) -> Iterator[Session]:
        """Give the session for one call; raises as `use` does."""
        lease = Lease(self.holder)
        try:
            yield self._pool.take(lease, cancel=cancel)
        finally:
            self._pool.release(lease)

    def keep(self, seconds: float) -> None:
        """Keep the model so long after its last use; infinite: for ever."""
        self._pool.keep(self.holder, seconds)

    @property
    def closed(self) -> bool:
        """Whether `close` was called, or the model unloaded by name."""
        return self.holder.closed

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory now."""
        return self._pool.has(self.holder)

    def close(self) -> None:
        """End this session for good; free the model unless others are using it."""
        self._pool.dismiss(self.holder)
        if self._held is not None:
            self._pool.release(self._held)

    def _known(self) -> Facts:
        if self.holder.facts is None:
            with self.call() as session:
                return facts_of(session)
        return self.holder.facts

    @property
    def info(self) -> ModelInfo:
        """What the file says."""
        return self.holder.ask.info

    @property
    def fingerprint(self) -> Fingerprint:
        """What the runtime is and how it was set up."""
        return self._known().fingerprint

    @property
    def memory(self) -> MemoryUse:
        """What loading allocated."""
        return self._known().memory

    @property
    def n_ctx(self) -> int:
        """Context length in tokens."""
        return self._known().n_ctx

    @property
    def n_vocab(self) -> int:
        """Size of the vocabulary."""
        return self._known().n_vocab

    @property
    def bos(self) -> int | None:
        """The token that begins a text, if there is one."""
        return self._known().bos

    @property
    def eos(self) -> int | None:
        """The token that ends a text, if there is one."""
        return self._known().eos

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer puts `bos` before a text by default."""
        return self._known().adds_bos

    @property
    def control_tokens(self) -> Mapping[str, int]:
        """Text of every control and user-defined token, with its id."""
        return self._known().control_tokens

    @property
    def activity(self) -> Activity:
        """What it is doing now; nothing when it is not loaded."""
        return self._pool.activity(self.holder) or Activity(0, 0, 0, 0, 0.0, 0)

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Return token ids."""
        with self.call() as session:
            return session.tokenize(
                text, add_special=add_special, parse_special=parse_special
            )

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Return the text of ``tokens``; control tokens only if ``special``."""
        with self.call() as session:
            return session.detokenize(tokens, special=special)

    def see(self, image: Image) -> list[int]:
        """Return the tokens that stand for ``image`` in a prompt."""
        with self.call() as session:
            return session.see(image)

    def stream(
        self,
        prompt: Sequence[int],
        params: SamplingParams,
        *,
        images: Sequence[Image] = (),
        serve: ServeParams = SERVE,
        cancel: CancelToken | None = None,
    ) -> PooledStream:
        """Start an answer; the model is in use while it is computed."""

        def note(generation: Generation, reason: FinishReason | None) -> None:
            name = self.holder.ask.name
            self._pool.requests.note(name, generation, reason=reason)

        return PooledStream(
            self.call, prompt, params, serve, cancel, images=images, on_end=note
        )

    def score(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        *,
        serve: ServeParams = SERVE,
        cancel: CancelToken | None = None,
    ) -> list[ContinuationScore]:
        """Return the log-likelihood of each continuation after ``prompt``."""
        with self.call(cancel) as session:
            return session.score(prompt, continuations, serve=serve, cancel=cancel)

    def embed(
        self,
        inputs: Sequence[Sequence[int]],
        *,
        pooling: Pooling | None = None,
        normalize: bool = True,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.float32]:
        """Return one vector per input, shape (n_inputs, n_embd)."""
        with self.call(cancel) as session:
            return session.embed(
                inputs, pooling=pooling, normalize=normalize, cancel=cancel
            )

    def pair(self, query: str, document: str) -> list[int]:
        """Return the tokens that a reranking model reads for the two."""
        with self.call() as session:
            return session.pair(query, document)

    def logits(
        self,
        tokens: Sequence[int],
        *,
        first: int = 0,
        cancel: CancelToken | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Yield next-token logits for positions ``first`` to the end."""
        with self.call(cancel) as session:
            yield from session.logits(tokens, first=first, cancel=cancel)

    def save_state(self, tokens: Sequence[int]) -> bytes:
        """Return the KV cache of ``tokens``, computing what is not cached."""
        with self.call() as session:
            return session.save_state(tokens)

    def restore_state(self, state: bytes) -> int:
        """Put a saved KV cache into a free slot; return its number of tokens."""
        with self.call() as session:
            return session.restore_state(state)

    def time_prefill(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return seconds to compute ``n_tokens`` random tokens (llama-bench pp)."""
        with self.call() as session:
            return session.time_prefill(n_tokens, depth=depth)

    def time_decode(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return seconds to decode ``n_tokens`` one by one (llama-bench tg)."""
        with self.call() as session:
            return session.time_decode(n_tokens, depth=depth)

    def time_streams(self, n_prompt: int, n_gen: int, n_streams: int) -> StreamTimes:
        """Return seconds of both phases, so many texts at once (batched-bench)."""
        with self.call() as session:
            return session.time_streams(n_prompt, n_gen, n_streams)
