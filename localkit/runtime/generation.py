"""One answer: prefill, then sample and decode until something ends it."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from localkit.errors import Cancelled
from localkit.events import CancelToken, Timings, Usage
from localkit.runtime import samplers
from localkit.runtime.protocol import (
    FinishReason,
    Generation,
    Piece,
    SamplingParams,
)
from localkit.runtime.vocabulary import TextAssembler, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from localkit.runtime.context import Context
    from localkit.runtime.owner import Emit, Owner

# Waking the reader at every token takes a core from the engine's threads, which
# spin until the one that lost it is back. Nobody reads faster than 30 times a second.
_PACE_S = 0.03


class LlamaStream:
    """An answer in progress; nothing runs before it is iterated."""

    def __init__(
        self,
        owner: Owner,
        answer: Answer,
        cancel: CancelToken | None,
    ) -> None:
        """Keep what is needed to start."""
        self._owner = owner
        self._answer = answer
        self._cancel = cancel or CancelToken()

    def __iter__(self) -> Iterator[Piece]:
        """Yield a piece a token; ends early, without raising, when cancelled."""
        reading = self._owner.start(
            self._answer.run, cancel=self._cancel, pace_s=_PACE_S
        )
        yield from reading
        _ = reading.result

    @property
    def generation(self) -> Generation:
        """Return the answer so far; final once iteration has ended."""
        return self._answer.so_far()


class Answer:
    """State of one generation; `run` is for the owner thread, reads are for any."""

    def __init__(
        self,
        engine: Any,
        context: Context,
        vocabulary: Vocabulary,
        prompt: Sequence[int],
        params: SamplingParams,
    ) -> None:
        """Check the params and start the clock of the time to first token.

        Raises:
            UsageError: a sampling parameter is out of range.
        """
        samplers.check(params)
        self._engine = engine
        self._context = context
        self._vocabulary = vocabulary
        self._prompt = tuple(prompt)
        self._params = params
        self._seed = samplers.draw_seed(params)
        self._tokens: list[int] = []
        self._text: list[str] = []
        self._finish: FinishReason = "interrupted"
        self._asked = time.perf_counter()
        self._started = self._first = self._last = self._asked

    def run(self, emit: Emit[Piece]) -> None:
        """Compute the prompt and generate; leaves the KV cache as it ended."""
        self._started = self._first = self._last = time.perf_counter()
        try:
            self._context.clear()
            self._context.prefill(self._prompt, output=True)
            with self._sampler() as next_token:
                self._finish = self._generate(next_token, emit)
        except Cancelled:
            self._finish = "interrupted"

    def _generate(
        self, next_token: Callable[[], int], emit: Emit[Piece]
    ) -> FinishReason:
        assembler = TextAssembler(self._vocabulary, self._params.stop)
        room = self._context.n_ctx - len(self._prompt)
        limit = min(self._params.max_tokens or room, room)
        for count in range(1, limit + 1):
            token = next_token()
            self._record(token)
            if self._vocabulary.ends_generation(token):
                self._say(assembler.finish(), token, emit)
                return "stop"
            if not self._say(assembler.add(token), token, emit):
                return "interrupted"
            if assembler.stopped:
                return "stop"
            if count < limit:
                position = len(self._prompt) + count - 1
                self._context.decode([token], start=position, outputs=[0])
        self._say(assembler.finish(), self._tokens[-1], emit)
        return "length"

    def _sampler(self) -> Any:
        if samplers.is_plain_greedy(self._params):
            # numpy's argmax over 49k logits takes 10 us; llama.cpp's greedy
            # sampler first copies them into structs, 150 us.
            return nullcontext(lambda: int(self._context.logits(1)[0].argmax()))
        return samplers.drawing(
            self._engine,
            self._params,
            seed=self._seed,
            n_vocab=self._vocabulary.n_tokens,
            sample=self._context.sample,
        )

    def _record(self, token: int) -> None:
        self._last = time.perf_counter()
        if not self._tokens:
            self._first = self._last
        self._tokens.append(token)

    def _say(self, text: str, token: int, emit: Emit[Piece]) -> bool:
        self._text.append(text)
        return emit(Piece(text, token))

    def so_far(self) -> Generation:
        """Return what has been generated."""
        tokens = tuple(self._tokens)
        return Generation(
            text="".join(self._text),
            tokens=tokens,
            finish_reason=self._finish,
            usage=Usage(n_prompt=len(self._prompt), n_generated=len(tokens)),
            timings=Timings(
                prefill_s=self._first - self._started,
                decode_s=self._last - self._first,
                ttft_s=self._first - self._asked,
            ),
            seed=self._seed,
        )
