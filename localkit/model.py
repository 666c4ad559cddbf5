"""Model: a loaded model, as a person uses it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from localkit.chat.messages import Message, as_messages
from localkit.chat.prompt import chat_tokens
from localkit.chat.receipt import make_receipt
from localkit.chat.result import Result
from localkit.config import settings
from localkit.runtime.protocol import SamplingParams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType
    from typing import Self

    from localkit.chat.messages import MessageLike
    from localkit.events import CancelToken
    from localkit.runtime.protocol import ContinuationScore, Session
    from localkit.store import StoredModel


class Model:
    """A model of the store, loaded.

    Made by `localkit.load` or `Kit.load`. As a context manager it unloads itself::

        with localkit.load("smollm2-135m-instruct") as model:
            print(model.chat("Why is the sky blue?"))
    """

    def __init__(self, stored: StoredModel, session: Session) -> None:
        """Join what the store knows with what the runtime loaded."""
        self.stored = stored
        self.session = session
        self.closed = False

    def __repr__(self) -> str:
        """Name the ref and its state; no address, so that outputs compare."""
        state = "unloaded" if self.closed else f"n_ctx={self.session.n_ctx}"
        return f"<Model {self.stored.ref} {self.stored.info.label} {state}>"

    def chat(
        self,
        messages: str | MessageLike | Iterable[MessageLike],
        *,
        system: str | None = None,
        params: SamplingParams | None = None,
        on_text: Callable[[str], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> Result:
        """Answer a conversation through the model's own chat template.

        Args:
            messages: What the user says, or a whole conversation.
            system: Instructions to put first.
            params: Sampling params; ``max_tokens`` defaults to the settings' cap.
            on_text: Called with new text as it comes, on the calling thread.
            cancel: Raise it to stop; Ctrl-C does the same.

        Returns:
            The answer. When it was stopped, what there is of it, with the finish
            reason ``interrupted``.

        Raises:
            TemplateError: the model has no chat template, or it refuses.
            ContextTooLong: the conversation leaves no room for an answer.
            SessionClosed: the model was unloaded.
        """
        conversation = as_messages(messages, system=system)
        prompt = chat_tokens(self.session, conversation)
        result = self._answer(
            prompt.tokens,
            prompt.text,
            params=params,
            on_text=on_text,
            cancel=cancel,
            template_digest=prompt.template_digest,
        )
        reply = Message("assistant", result.text)
        return dataclasses.replace(result, messages=(*conversation, reply))

    def generate(
        self,
        prompt: str,
        *,
        params: SamplingParams | None = None,
        on_text: Callable[[str], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> Result:
        """Continue a raw text, without a template; otherwise as `chat`.

        Control tokens spelled out in ``prompt`` take effect: raw is raw.
        """
        tokens = self.session.tokenize(prompt, parse_special=True)
        return self._answer(
            tokens, prompt, params=params, on_text=on_text, cancel=cancel
        )

    def score(
        self,
        prompt: str,
        continuations: Sequence[str],
        *,
        cancel: CancelToken | None = None,
    ) -> list[ContinuationScore]:
        """Return the log-likelihood of each continuation after ``prompt``.

        Prompt and continuation are tokenized apart; see ``evals`` for tasks whose
        boundary needs more care.

        Raises:
            ContextTooLong: prompt and longest continuation exceed the context.
        """
        before = self.session.tokenize(prompt)
        after = [
            self.session.tokenize(text, add_special=False) for text in continuations
        ]
        return self.session.score(before, after, cancel=cancel)

    def tokenize(self, text: str, *, add_special: bool = False) -> list[int]:
        """Return the token ids of ``text``; with BOS and the like if asked."""
        return self.session.tokenize(text, add_special=add_special)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text of ``tokens``, control tokens spelled out."""
        return self.session.detokenize(tokens, special=True)

    def close(self) -> None:
        """Unload the model; what is being generated stops. May be called twice."""
        self.closed = True
        self.session.close()

    def __enter__(self) -> Self:
        """Return the model."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Unload the model."""
        self.close()

    def _answer(
        self,
        tokens: Sequence[int],
        prompt: str,
        *,
        params: SamplingParams | None,
        on_text: Callable[[str], None] | None,
        cancel: CancelToken | None,
        template_digest: str | None = None,
    ) -> Result:
        asked = params or SamplingParams()
        used = _capped(asked)
        stream = self.session.stream(tokens, used, cancel=cancel)
        try:
            for piece in stream:
                if on_text is not None and piece.text:
                    on_text(piece.text)
        except KeyboardInterrupt:
            # The stream has stopped and kept what was said: that is the answer.
            pass
        generation = stream.generation
        cut_by_cap = (
            asked.max_tokens is None
            and generation.finish_reason == "length"
            and generation.usage.n_generated == used.max_tokens
        )
        return Result(
            text=generation.text,
            tokens=generation.tokens,
            finish_reason=generation.finish_reason,
            usage=generation.usage,
            timings=generation.timings,
            receipt=make_receipt(
                self.stored,
                self.session,
                dataclasses.replace(used, seed=generation.seed),
                template_digest=template_digest,
            ),
            prompt=prompt,
            max_tokens_hit=used.max_tokens if cut_by_cap else None,
        )


def _capped(params: SamplingParams) -> SamplingParams:
    """Return ``params`` with the settings' cap where the caller set none."""
    if params.max_tokens is not None:
        return params
    return dataclasses.replace(params, max_tokens=settings().max_tokens)
