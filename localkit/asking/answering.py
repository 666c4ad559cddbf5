"""One question put to a session, and its answer as it comes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from localkit.chat.receipt import make_receipt
from localkit.chat.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from localkit.asking.options import Asked
    from localkit.chat.answering import Answer, Prepared
    from localkit.chat.messages import Message
    from localkit.events import CancelToken
    from localkit.runtime.protocol import Session
    from localkit.store import StoredModel


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is to continue."""

    tokens: Sequence[int]
    text: str
    """The rendered conversation, or the raw prompt."""
    messages: tuple[Message, ...] = ()
    """Empty for raw text."""
    prepared: Prepared | None = None
    """How to read the answer; None for raw text."""
    of_model: tuple[str, ...] = ()
    """What the model put before the conversation."""


class Answering:
    """An answer in progress: iterate for its text, then read `result`.

    Ctrl-C ends the iteration; the result then says ``interrupted`` and holds what
    there is. An iteration left early stops the model.
    """

    def __init__(
        self,
        stored: StoredModel,
        session: Session,
        question: Question,
        asked: Asked,
        cancel: CancelToken | None,
        *,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Check the question; nothing is computed before it is iterated.

        Raises:
            ContextTooLong: the prompt leaves no room for an answer.
            SessionClosed: the model was unloaded.
        """
        prepared = question.prepared
        sampling = asked.sampling
        if prepared is not None and prepared.structure is not None:
            sampling = dataclasses.replace(sampling, structure=prepared.structure)
        self._stored = stored
        self._session = session
        self._question = question
        self._sampling = sampling
        self._serve = asked.serve
        self._capped = asked.capped
        self._form = asked.form
        self._notes = (*notes, *asked.notes)
        self._of_model = (*question.of_model, *asked.of_model)
        self._reader = None if prepared is None else prepared.reader()
        self._stream = session.stream(
            question.tokens,
            sampling,
            images=() if prepared is None else prepared.images,
            serve=asked.serve,
            cancel=cancel,
        )
        self._texts = self._read()

    def __iter__(self) -> Answering:
        """Return itself: text is handed out once."""
        return self

    def __next__(self) -> str:
        """Return the next piece of text; never empty."""
        return next(self._texts)

    def close(self) -> None:
        """Stop the model; `result` has what it said."""
        self._texts.close()

    def wait(self, on_text: Callable[[str], None] | None = None) -> Result:
        """Return the result; ``on_text`` is called with text as it comes."""
        try:
            for text in self:
                if on_text is not None:
                    on_text(text)
        except KeyboardInterrupt:
            # It fell into on_text: what was said until then is the answer.
            self.close()
        return self.result

    @cached_property
    def result(self) -> Result:
        """The whole answer; waits for it where iteration has not."""
        for _ in self._texts:
            pass
        generation = self._stream.generation
        prepared, answer = self._question.prepared, self._answer
        reason = generation.finish_reason
        cut_by_cap = (
            self._capped
            and reason == "length"
            and generation.usage.n_generated == self._sampling.max_tokens
        )
        return Result(
            text=generation.text if answer is None else answer.text,
            thinking="" if answer is None else answer.thinking,
            tool_calls=() if answer is None else answer.tool_calls,
            tokens=generation.tokens,
            finish_reason=reason if answer is None else answer.finish_reason,
            usage=generation.usage,
            timings=generation.timings,
            logprobs=generation.logprobs,
            prompt_logprobs=generation.prompt_logprobs,
            notes=(
                *(() if prepared is None else prepared.notes),
                *(() if answer is None else answer.notes),
                *generation.notes,
                *self._notes,
            ),
            receipt=make_receipt(
                self._stored,
                self._session,
                dataclasses.replace(self._sampling, seed=generation.seed),
                serve=self._serve,
                template_digest=None if prepared is None else prepared.template_digest,
                of_model=self._of_model,
                template_kind=None if prepared is None else prepared.template_kind,
            ),
            prompt=self._question.text,
            messages=(
                () if answer is None else (*self._question.messages, answer.message)
            ),
            max_tokens_hit=self._sampling.max_tokens if cut_by_cap else None,
            form=self._form,
        )

    @cached_property
    def _answer(self) -> Answer | None:
        """What the reader made of the stream, once that has ended."""
        if self._reader is None:
            return None
        return self._reader.finish(self._stream.generation.finish_reason)

    def _read(self) -> Generator[str]:
        try:
            for piece in self._stream:
                text = piece.text
                if self._reader is not None:
                    text = self._reader.add(piece).text
                if text:
                    yield text
        except KeyboardInterrupt:
            # The stream has stopped and kept what was said: that is the answer.
            pass
        if self._answer is not None and self._answer.tail.text:
            yield self._answer.tail.text
