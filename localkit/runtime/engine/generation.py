"""One answer: a prompt, then a token chosen from the logits of each step."""

from __future__ import annotations

import time
from itertools import takewhile
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError
from localkit.events import Timings, Usage
from localkit.runtime.engine import samplers
from localkit.runtime.engine.logprobs import token_logprob
from localkit.runtime.values import (
    FinishReason,
    Generation,
    Piece,
    PromptLogprob,
    TokenLogprob,
)
from localkit.runtime.vocabulary import TextAssembler, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from localkit.events import CancelToken
    from localkit.runtime.engine.jobs import Outputs
    from localkit.runtime.engine.reading import Reading
    from localkit.runtime.engine.speculation import Drafter
    from localkit.runtime.params import SamplingParams, ServeParams
    from localkit.runtime.structured.constraint import Constraint
    from localkit.runtime.vision.vision import Media

# Of the prompt, this share of the context survives a context shift.
_KEPT_SHARE = 0.25


class Answer:
    """State of one generation: a `Job`, read by its stream from any thread."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        prompt: Sequence[int],
        params: SamplingParams,
        serve: ServeParams,
        *,
        n_ctx: int,
        reading: Reading[None, Piece],
        chain: Callable[[SamplingParams, int, Sequence[int]], Any],
        constraint: Constraint | None = None,
        drafter: Drafter | None = None,
        notes: Callable[[float], tuple[str, ...]] = lambda _: (),
        media: Mapping[int, Media] = MappingProxyType({}),
    ) -> None:
        """Check the params.

        Args:
            vocabulary: Of the model.
            prompt: Token ids.
            params: Sampling params.
            serve: How it is served.
            n_ctx: Most tokens of prompt and answer.
            reading: Where pieces go.
            chain: Makes a sampler chain of params, seed and prompt.
            constraint: The form that the answer must have.
            drafter: Guesses tokens ahead.
            notes: What the runtime has to say of the time since a moment.
            media: Images of the prompt by the position they begin at.

        Raises:
            UsageError: a sampling parameter is out of range.
        """
        samplers.check(params)
        if serve.exact and serve.speculate != "off":
            msg = f"exact=True does not go with speculate='{serve.speculate}'"
            raise UsageError(
                msg, hint="leave one out: guesses are verified several at once"
            )
        self.number = -1
        self.serve = serve
        self.tokens = list(prompt)
        self.media = media
        self.first_output = 0 if params.prompt_logprobs is not None else len(prompt) - 1
        self.ended = False
        self.grows = not serve.context_shift
        self._vocabulary = vocabulary
        self._n_prompt = len(prompt)
        self._n_ctx = n_ctx
        self._params = params
        self._reading = reading
        self._make_chain = chain
        self._chain: samplers.Chain | None = None
        self._constraint = constraint
        self._drafter = drafter
        self._get_notes = notes
        self._assembler = TextAssembler(vocabulary, params.stop)
        self._seed = samplers.draw_seed(params)
        self._limit = self._most_tokens()
        self._drafts: Sequence[int] = ()
        self._sampled: list[int] = []
        self._token_at: list[float] = []
        self._text: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._prompt_logprobs: list[PromptLogprob] = []
        self._notes: list[str] = []
        self._finish: FinishReason = "interrupted"
        self._n_reused = self._n_drafted = self._n_accepted = 0
        self.ask()

    def _most_tokens(self) -> int:
        room = self._n_ctx - self._n_prompt
        if self.serve.context_shift:
            return self._params.max_tokens or 2**31
        return min(self._params.max_tokens or room, room)

    @property
    def chain(self) -> Any | None:
        """Its samplers, where they choose the next token from the logits as they are.

        A structure masks these first, and logprobs and guesses look at them as well.
        """
        params = self._params
        looks = params.top_logprobs is not None or params.prompt_logprobs is not None
        if self._chain is None or self._constraint is not None or looks or self._drafts:
            return None
        return self._chain.native

    @property
    def cancel(self) -> CancelToken:
        """The token that its reader raises to stop it."""
        return self._reading.cancel

    def ask(self) -> None:
        """Start the clock of the time to first token."""
        self._asked = time.perf_counter()
        self._started = self._first = self._last = self._asked

    def start(self, n_reused: int) -> None:
        """Learn that it is in a slot; again when it had to give that up."""
        if self._sampled:
            return
        self._started = self._first = self._last = time.perf_counter()
        self._n_reused = n_reused
        if self._chain is None and not samplers.is_plain_greedy(self._params):
            text = [token for token in self.tokens if token >= 0]  # images have none
            self._chain = self._make_chain(self._params, self._seed, text)

    def draft(self, room: int) -> Sequence[int]:
        """Return guesses, when speculation was asked for."""
        left = self._limit - len(self._sampled) - 1
        cells = self._n_ctx - len(self.tokens)
        most = min(self.serve.n_draft, room, left, cells)
        self._drafts = ()  # those of a decode that failed were never verified
        if self._drafter is not None and most > 0:
            guesses = self._drafter.propose(self.tokens, most)
            # No guess goes into an image.
            self._drafts = list(takewhile(lambda token: token >= 0, guesses))
        return self._drafts

    def take(self, outputs: Outputs) -> None:
        """Choose the next token, and one more for every guess that was right."""
        n_read = self._read_prompt(outputs)
        n_rows = len(outputs) - n_read
        if not n_rows:
            return
        # A job that had to start over came without its guesses.
        drafts, self._drafts = self._drafts[: n_rows - 1], ()
        self._n_drafted += len(drafts)
        for row in range(n_rows):
            token, logprob = self._choose(outputs, n_read + row)
            self._advance(token, logprob)
            if self.ended or row == len(drafts) or token != drafts[row]:
                break
            self._n_accepted += 1

    def _read_prompt(self, outputs: Outputs) -> int:
        """Keep how likely the prompt's tokens were; return the rows that told.

        The last row of a prompt tells of the first token of the answer.
        """
        n_top, start = self._params.prompt_logprobs, self.first_output
        if n_top is None or self._sampled:
            return 0
        n_rows = min(len(outputs), self._n_prompt - 1 - start)
        followers = self.tokens[start + 1 : start + 1 + n_rows]
        for logits, token in zip(outputs.rows, followers, strict=False):
            logprob, top = token_logprob(logits, token, n_top)
            self._prompt_logprobs.append(PromptLogprob(token, logprob, top))
        self.first_output += n_rows
        return n_rows

    def _choose(self, outputs: Outputs, row: int) -> tuple[int, TokenLogprob | None]:
        logits = outputs.rows[row]
        n_top = self._params.top_logprobs
        # Filters change the row in place; a logprob is of the model's own.
        plain = None if n_top is None else logits.copy()
        if self._constraint is not None:
            self._constraint.mask(logits)
        if self._chain is None:
            token = int(logits.argmax())
        else:
            token = outputs.sample(self._chain.native, row)
        if self._constraint is not None:
            self._constraint.accept(token)
        if plain is None or n_top is None:
            return token, None
        return token, token_logprob(plain, token, n_top)

    def _advance(self, token: int, logprob: TokenLogprob | None) -> None:
        self._last = time.perf_counter()
        if not self._sampled:
            self._first = self._last
        self._sampled.append(token)
        self._token_at.append(self._last)
        if logprob is not None:
            self._logprobs.append(logprob)
        if self._vocabulary.ends_generation(token):
            self._end("stop", self._assembler.finish(), token, logprob)
            return
        text = self._assembler.add(token)
        done = self._constraint is not None and self._constraint.finished
        if self._assembler.stopped or done:
            self._end("stop", text + self._assembler.finish(), token, logprob)
        elif len(self._sampled) >= self._limit:
            self._end("length", text + self._assembler.finish(), token, logprob)
        elif self._say(text, token, logprob):
            self._feed(token)
        else:
            self._end("interrupted", "", token, logprob)

    def _feed(self, token: int) -> None:
        self.tokens.append(token)
        if len(self.tokens) > self._n_ctx - 1 and self.serve.context_shift:
            self._shift()
        self.first_output = len(self.tokens) - 1

    def _shift(self) -> None:
        """Drop the older half of what follows the beginning of the prompt."""
        kept = min(self._n_prompt, int(self._n_ctx * _KEPT_SHARE))
        dropped = (self._n_ctx - kept) // 2
        del self.tokens[kept : kept + dropped]
        self._notes.append(
            f"context shifted: {dropped} tokens after the first {kept} were dropped"
        )

    def _end(
        self,
        reason: FinishReason,
        text: str,
        token: int,
        logprob: TokenLogprob | None,
    ) -> None:
        self._finish = reason
        self.ended = True
        self._say(text, token, logprob)

    def _say(self, text: str, token: int, logprob: TokenLogprob | None) -> bool:
        self._text.append(text)
        return self._reading.put(Piece(text, token, logprob))

    def finish(self, error: BaseException | None = None) -> None:
        """Free what the answer held and tell its reader."""
        if self._chain is not None:
            self._chain.free()
            self._chain = None
        self.media = {}  # pixels, while a stream may be kept for its text
        self.ended = True
        if error is not None:
            self._finish = "error"
        self._notes += self._get_notes(self._started)
        self._reading.end(error=error)

    def so_far(self) -> Generation:
        """Return what has been generated."""
        tokens = tuple(self._sampled)
        return Generation(
            text="".join(self._text),
            tokens=tokens,
            finish_reason=self._finish,
            usage=Usage(
                n_prompt=self._n_prompt,
                n_generated=len(tokens),
                n_reused=self._n_reused,
                n_drafted=self._n_drafted,
                n_accepted=self._n_accepted,
            ),
            timings=Timings(
                prefill_s=self._first - self._started,
                decode_s=self._last - self._first,
                ttft_s=self._first - self._asked,
            ),
            seed=self._seed,
            logprobs=tuple(self._logprobs),
            prompt_logprobs=tuple(self._prompt_logprobs),
            token_s=tuple(at - self._asked for at in self._token_at),
            notes=tuple(self._notes),
        )
