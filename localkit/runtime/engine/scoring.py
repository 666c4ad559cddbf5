"""Log-likelihoods and logits of given tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from localkit.errors import Cancelled
from localkit.runtime.engine.logprobs import log_softmax_at
from localkit.runtime.engine.plan import LEAST_CHUNK, chunk_end
from localkit.runtime.values import ContinuationScore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from localkit.events import CancelToken
    from localkit.runtime.engine.context import Context
    from localkit.runtime.engine.jobs import Outputs
    from localkit.runtime.engine.owner import Emit
    from localkit.runtime.engine.reading import Reading
    from localkit.runtime.params import ServeParams
    from localkit.runtime.vision.vision import Media

# Rows of logits handed over at once: 12 MiB for 49k tokens, 64 MiB for 262k.
_BLOCK_ROWS = 64


class Score:
    """Log-likelihoods of the continuations of one prompt, one by one: a `Job`.

    The prompt's last logits score each first token; a last token is never
    computed. The continuations take turns behind the prompt in one sequence, so
    that each is computed as it would be alone.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        serve: ServeParams,
        reading: Reading[list[ContinuationScore], None],
    ) -> None:
        """None of them may be empty."""
        self.number = -1
        self.serve = serve
        self.cancel: CancelToken = reading.cancel
        self.tokens = list(prompt)
        self.first_output = len(prompt) - 1
        self.ended = False
        self.grows = False  # the next continuation takes the place of this one
        self.chain: None = None
        self.media: Mapping[int, Media] = {}
        self._n_prompt = len(prompt)
        self._continuations = continuations
        self._reading = reading
        self._found = [_Found(np.empty(len(one))) for one in continuations]
        self._at = -1
        """Index of the continuation that is being computed; -1: the prompt."""

    def start(self, n_reused: int) -> None:
        """Learn that it is in a slot; what it has scored stays."""

    def draft(self, room: int) -> Sequence[int]:
        """Return none: the tokens are known."""
        del room
        return ()

    def take(self, outputs: Outputs) -> None:
        """Score a token a row."""
        if self._at < 0:
            for found, continuation in zip(
                self._found, self._continuations, strict=True
            ):
                found.add(outputs.rows[-1], continuation)
            self._next()
            return
        found = self._found[self._at]
        continuation = self._continuations[self._at]
        for logits in outputs.rows:
            found.add(logits, continuation)
        self.first_output += len(outputs)
        if found.n_scored == len(continuation):
            self._next()

    def _next(self) -> None:
        """Go on with the next continuation that has a token left to compute."""
        for index in range(self._at + 1, len(self._continuations)):
            if len(self._continuations[index]) > 1:
                del self.tokens[self._n_prompt :]
                self.tokens += self._continuations[index][:-1]
                self.first_output = self._n_prompt
                self._at = index
                return
        self.ended = True

    def finish(self, error: BaseException | None = None) -> None:
        """Hand over the scores; `Cancelled` when it was stopped before."""
        if error is None and not self.ended:
            error = Cancelled("scoring was stopped")
        scores = [ContinuationScore(one.logprobs, one.is_greedy) for one in self._found]
        self._reading.end(scores, error=error)


@dataclass(slots=True)
class _Found:
    """What is known of one continuation."""

    logprobs: NDArray[np.float64]
    n_scored: int = 0
    is_greedy: bool = True

    def add(self, logits: NDArray[np.float32], continuation: Sequence[int]) -> None:
        token = continuation[self.n_scored]
        self.logprobs[self.n_scored] = log_softmax_at(logits, token)
        self.is_greedy = self.is_greedy and int(logits.argmax()) == token
        self.n_scored += 1


class Prefill:
    """Tokens that shall lie in the KV cache: a `Job`."""

    def __init__(
        self, tokens: Sequence[int], serve: ServeParams, reading: Reading[None, None]
    ) -> None:
        """The tokens may not be empty."""
        self.number = -1
        self.serve = serve
        self.cancel: CancelToken = reading.cancel
        self.tokens = list(tokens)
        self.first_output = len(tokens) - 1
        self.ended = False
        self.grows = True
        self.chain: None = None
        self.media: Mapping[int, Media] = {}
        self._reading = reading

    def start(self, n_reused: int) -> None:
        """Learn that it is in a slot."""

    def draft(self, room: int) -> Sequence[int]:
        """Return none: the tokens are known."""
        del room
        return ()

    def take(self, outputs: Outputs) -> None:
        """End: the last token is computed."""
        del outputs
        self.ended = True

    def finish(self, error: BaseException | None = None) -> None:
        """Tell the caller."""
        if error is None and not self.ended:
            error = Cancelled("the prefill was stopped")
        self._reading.end(error=error)


def emit_logits(
    context: Context,
    tokens: Sequence[int],
    *,
    first: int,
    cancel: CancelToken,
    emit: Emit[NDArray[np.float32]],
) -> None:
    """Emit logits of positions ``first`` to the end in blocks of copies.

    The KV cache must be empty. Owner thread only. Decodes as many tokens at once
    as there is room for logits; llama-perplexity's figures do not depend on that
    (measured), as long as the chunks are those of `chunk_end`.
    """
    at = 0
    # Nothing is wanted before `first`: whole micro-batches until shortly before.
    begin = max(0, min(first, len(tokens) - LEAST_CHUNK)) // LEAST_CHUNK * LEAST_CHUNK
    while at < len(tokens):
        if at < begin:
            end = chunk_end(at, context.n_ubatch, begin)
        else:
            end = chunk_end(at, context.n_outputs_max, len(tokens))
        if cancel.cancelled:
            msg = "scoring was stopped"
            raise Cancelled(msg)
        wanted = range(max(0, first - at), end - at)
        context.decode(tokens[at:end], start=at, outputs=list(wanted))
        at = end
        if not wanted:
            continue
        rows = context.logits(len(wanted))
        for block in range(0, len(wanted), _BLOCK_ROWS):
            if not emit(rows[block : block + _BLOCK_ROWS].copy()):
                return
