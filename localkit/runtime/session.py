"""A model loaded by llama.cpp, behind the `Session` protocol."""

from __future__ import annotations

import random
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from localkit.errors import ContextTooLong, SessionClosed, UsageError
from localkit.events import CancelToken
from localkit.runtime.generation import Answer, LlamaStream
from localkit.runtime.scoring import emit_logits, score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.context import Context
    from localkit.runtime.owner import Emit, Owner
    from localkit.runtime.protocol import (
        ContinuationScore,
        Fingerprint,
        MemoryUse,
        SamplingParams,
    )
    from localkit.runtime.vocabulary import Vocabulary


class LlamaSession:
    """One model, one context, one owner thread; calls are served in order."""

    def __init__(
        self,
        *,
        engine: Any,
        owner: Owner,
        context: Context,
        vocabulary: Vocabulary,
        free_model: Callable[[], None],
        info: ModelInfo,
        fingerprint: Fingerprint,
        memory: MemoryUse,
    ) -> None:
        """Take over what the runtime loaded."""
        self._engine = engine
        self._owner = owner
        self._context = context
        self._vocabulary = vocabulary
        self._free_model = free_model
        self._closed = False
        self.info = info
        self.fingerprint = fingerprint
        self.memory = memory
        self.n_ctx = context.n_ctx
        self.n_vocab = vocabulary.n_tokens
        self.adds_bos = vocabulary.adds_bos

    @cached_property
    def bos(self) -> int | None:
        """The token that begins a text, if there is one."""
        return self._vocabulary.bos

    @cached_property
    def eos(self) -> int | None:
        """The token that ends a text, if there is one."""
        return self._vocabulary.eos

    @cached_property
    def control_tokens(self) -> Mapping[str, int]:
        """Text of every control and user-defined token, with its id."""
        self._check_open()
        return self._vocabulary.control_tokens

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Return the token ids of ``text``."""
        self._check_open()
        return self._vocabulary.tokenize(
            text, add_special=add_special, parse_special=parse_special
        )

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Return the text of ``tokens``."""
        self._check_open()
        self._check_tokens(tokens)
        return self._vocabulary.detokenize(tokens, special=special)

    def stream(
        self,
        prompt: Sequence[int],
        params: SamplingParams,
        *,
        cancel: CancelToken | None = None,
    ) -> LlamaStream:
        """Start an answer to ``prompt``."""
        self._check_open()
        self._check_tokens(prompt, what="prompt")
        if len(prompt) >= self.n_ctx:
            raise ContextTooLong(len(prompt), self.n_ctx)
        answer = Answer(self._engine, self._context, self._vocabulary, prompt, params)
        return LlamaStream(self._owner, answer, cancel)

    def score(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        *,
        cancel: CancelToken | None = None,
    ) -> list[ContinuationScore]:
        """Return the log-likelihood of each continuation after ``prompt``."""
        self._check_open()
        self._check_tokens(prompt, what="prompt")
        for continuation in continuations:
            self._check_tokens(continuation, what="continuation")
            n_tokens = len(prompt) + len(continuation) - 1
            if n_tokens > self.n_ctx:
                raise ContextTooLong(n_tokens, self.n_ctx)
        return self._owner.call(
            lambda token: score(
                self._context,
                prompt,
                continuations,
                n_seq_max=self.fingerprint.n_seq_max,
                cancel=token,
            ),
            cancel=cancel,
        )

    def logits(
        self,
        tokens: Sequence[int],
        *,
        first: int = 0,
        cancel: CancelToken | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Yield next-token logits for positions ``first`` to the end."""
        self._check_open()
        self._check_tokens(tokens, what="text")
        if len(tokens) > self.n_ctx:
            raise ContextTooLong(len(tokens), self.n_ctx)
        token = cancel or CancelToken()

        def work(emit: Emit[NDArray[np.float32]]) -> None:
            emit_logits(self._context, tokens, first=first, cancel=token, emit=emit)

        # The engine computes the next rows while the reader uses these.
        reading = self._owner.start(work, cancel=token, ahead=4)
        yield from reading
        _ = reading.result

    def time_prefill(self, n_tokens: int) -> float:
        """Return seconds to compute ``n_tokens`` random tokens (llama-bench pp)."""
        self._check_room(n_tokens)
        tokens = self._random_tokens(n_tokens)

        def work(_: CancelToken) -> float:
            self._context.clear()
            start = time.perf_counter()
            self._context.prefill(tokens, output=True)
            return time.perf_counter() - start

        return self._owner.call(work)

    def time_decode(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return seconds to decode ``n_tokens`` one by one (llama-bench tg)."""
        self._check_room(n_tokens + depth)
        tokens = self._random_tokens(depth + n_tokens)

        def work(_: CancelToken) -> float:
            self._context.clear()
            self._context.prefill(tokens[:depth], output=False)
            start = time.perf_counter()
            for position in range(depth, depth + n_tokens):
                self._context.decode([tokens[position]], start=position, outputs=[0])
            return time.perf_counter() - start

        return self._owner.call(work)

    def close(self) -> None:
        """Stop what is running, then free the model. May be called twice."""
        self._closed = True
        self._owner.close(self._free)

    def _free(self) -> None:
        self._context.close()
        self._free_model()

    def _random_tokens(self, n: int) -> list[int]:
        """Return BOS, if the model wants one, then random tokens, as llama-bench."""
        tokens = random.choices(range(self.n_vocab), k=n)  # noqa: S311
        if self.adds_bos and self.bos is not None and tokens:
            tokens[0] = self.bos
        return tokens

    def _check_open(self) -> None:
        if self._closed:
            msg = f"{self.info.name} was unloaded"
            raise SessionClosed(msg, hint="load it again with `localkit.load(...)`")

    def _check_room(self, n_tokens: int) -> None:
        self._check_open()
        if not 0 < n_tokens <= self.n_ctx:
            raise ContextTooLong(n_tokens, self.n_ctx)

    def _check_tokens(self, tokens: Sequence[int], *, what: str = "") -> None:
        if what and not tokens:
            msg = f"the {what} is empty"
            raise UsageError(msg, hint="give at least one token; BOS counts")
        bad = next((token for token in tokens if not 0 <= token < self.n_vocab), None)
        if bad is not None:
            msg = f"token {bad} is not in the vocabulary of {self.n_vocab}"
            raise UsageError(msg, hint="tokenize the text with this model")
