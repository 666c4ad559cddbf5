"""Questions put to one model: one or many, waited for or streamed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.asking.answering import Answering, Question
from localkit.asking.defaults import defaults_of, opened
from localkit.asking.many import AnsweringMany
from localkit.asking.options import as_asked
from localkit.chat.answering import prepare
from localkit.chat.messages import Message, as_messages
from localkit.chat.template_choice import choice_of
from localkit.chat.tools import as_tools
from localkit.errors import UsageError

if TYPE_CHECKING:
    from localkit.asking.many import OnText, Work
    from localkit.asking.options import Asked
    from localkit.chat.messages import MessageLike
    from localkit.chat.result import Result
    from localkit.chat.tools import ToolLike
    from localkit.events import CancelToken
    from localkit.runtime.params import Priority
    from localkit.runtime.protocol import Session
    from localkit.store import StoredModel

    Conversation = str | MessageLike | Iterable[MessageLike]

MakeQuestion = Callable[[], Question]
"""Renders and tokenizes, on the thread that asks."""


class Manner(NamedTuple):
    """How conversations are put to a model; see `localkit.model.Model.chat`."""

    system: str | None = None
    tools: Iterable[ToolLike] = ()
    tool_choice: str = "auto"
    tool_prompt: bool = False
    think: bool | None = None


class Asker:
    """A model and where it runs."""

    def __init__(self, stored: StoredModel, session: Session) -> None:
        """Keep both."""
        self._stored = stored
        self._session = session
        self.notes: tuple[str, ...] = ()
        """What every result has to say beside its answer."""
        self.seed: int | None = None
        """Of answers whose caller gives none; None: one is drawn for each."""

    def asked(
        self, options: Mapping[str, Any], *, priority: Priority | None = None
    ) -> Asked:
        """Return options as params, with the model's where they do not say.

        Raises:
            UsageError: there is no such option.
            ManifestInvalid, BlobCorrupt: the model's parameters cannot be read.
        """
        defaults = defaults_of(self._stored, n_ctx=self._session.n_ctx)
        asked = as_asked(options, priority=priority, defaults=defaults)
        if self.seed is None or asked.sampling.seed is not None:
            return asked
        sampling = dataclasses.replace(asked.sampling, seed=self.seed)
        return asked._replace(sampling=sampling)

    def raw(self, prompt: str) -> MakeQuestion:
        """Return a question that continues ``prompt`` as it is."""

        def make() -> Question:
            tokens = self._session.tokenize(prompt, parse_special=True)
            return Question(tokens, prompt)

        return make

    def chat(
        self, conversation: Conversation, manner: Manner, asked: Asked
    ) -> MakeQuestion:
        """Return a question that answers a conversation.

        Raises:
            UsageError: the conversation or a tool is none.
        """
        messages = as_messages(conversation, system=manner.system)
        opening = opened(self._stored, messages)
        tools = as_tools(manner.tools)

        def make() -> Question:
            prepared = prepare(
                self._session,
                opening.messages,
                tools=tools,
                tool_choice=manner.tool_choice,
                tool_prompt=manner.tool_prompt,
                think=manner.think,
                structured=asked.sampling.structure is not None,
                choice=choice_of(self._stored),
            )
            return Question(
                prepared.tokens, prepared.text, messages, prepared, opening.of_model
            )

        return make

    def one(
        self, make: MakeQuestion, asked: Asked, cancel: CancelToken | None
    ) -> Answering:
        """Return the answer to one question, not begun."""
        return Answering(
            self._stored, self._session, make(), asked, cancel, notes=self.notes
        )

    def many(
        self,
        questions: Sequence[MakeQuestion],
        asked: Asked,
        cancel: CancelToken | None,
        *,
        stream: bool,
    ) -> AnsweringMany:
        """Return the answers to several questions, not begun.

        Text is handed out only with ``stream``: waking a reader costs the engine.
        """
        asks = [(make, asked) for make in questions]
        return self._together(asks, cancel, stream=stream)

    def several(
        self,
        make: MakeQuestion,
        n: int,
        asked: Asked,
        cancel: CancelToken | None,
        *,
        stream: bool,
    ) -> AnsweringMany:
        """Return ``n`` answers to one question, with seeds that count up.

        Raises:
            UsageError: ``n`` is no positive number.
        """
        if n < 1:
            msg = f"n is {n}"
            raise UsageError(msg, hint="ask for at least one answer")
        question = make()
        seed = asked.sampling.seed
        asks = [
            asked
            if seed is None
            else asked._replace(
                sampling=dataclasses.replace(asked.sampling, seed=seed + index)
            )
            for index in range(n)
        ]
        alike = [(lambda: question, one) for one in asks]
        return self._together(alike, cancel, stream=stream)

    def _together(
        self,
        asks: Sequence[tuple[MakeQuestion, Asked]],
        cancel: CancelToken | None,
        *,
        stream: bool,
    ) -> AnsweringMany:
        def work_of(make: MakeQuestion, asked: Asked) -> Work[Result]:
            def work(token: CancelToken, say: OnText) -> Result:
                return self.one(make, asked, token).wait(say if stream else None)

            return work

        works = [work_of(make, asked) for make, asked in asks]
        return AnsweringMany(works, self._session, cancel=cancel)


class Conversations(NamedTuple):
    """What was given to answer, told apart."""

    all: list[Any]
    is_one: bool
    """Whether it was a single conversation, not a list of one."""


def conversations(value: object) -> Conversations:
    """Return the conversations in ``value``.

    A list of texts is as many conversations; a list of messages is one.
    """
    if isinstance(value, str | Message | Mapping) or not isinstance(value, Iterable):
        return Conversations([value], is_one=True)
    items = list(value)
    if not items or isinstance(items[0], Message | Mapping):
        return Conversations([items], is_one=True)
    return Conversations(items, is_one=False)
