"""Model: a loaded model, as a person uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, overload

from localkit.asking.asker import Asker, Manner, conversations
from localkit.asking.awaitables import achat, aembed, agenerate, arerank, ascore
from localkit.asking.mapping import map_rows
from localkit.asking.scores import score
from localkit.asking.vectors import embed, rerank
from localkit.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Literal, Self, Unpack

    from localkit.asking.answering import Answering
    from localkit.asking.asker import Conversation, MakeQuestion
    from localkit.asking.many import AnsweringMany
    from localkit.asking.options import Asked, ChatOptions, Options
    from localkit.chat.messages import MessageLike
    from localkit.chat.result import Result
    from localkit.chat.tools import ToolLike
    from localkit.runtime.protocol import Session
    from localkit.store import StoredModel

    Texts = list[str] | tuple[str, ...]
    Conversations = Texts | Sequence[Sequence[MessageLike]]
    OnText = Callable[[str], None]


class Model:
    """A model of the store, loaded.

    Made by `localkit.load` or `Kit.load`. As a context manager it unloads itself::

        with localkit.load("smollm2-135m-instruct") as model:
            print(model.chat("Why is the sky blue?"))

    Everything takes one input or a list of them; a list is computed side by side.
    What makes text takes the same options as keywords: the fields of
    `SamplingParams` and `ServeParams` (``temperature``, ``seed``, ``max_tokens``,
    ``stop``, ``top_logprobs``, ``structure``, ``adapters``, ``speculate``, …), or
    ``params``. Methods that begin with ``a`` are the same, awaitable.
    """

    def __init__(self, stored: StoredModel, session: Session) -> None:
        """Join what the store knows with what the runtime loaded."""
        self.stored = stored
        self.session = session
        self.asker = Asker(stored, session)
        self._closed = False

    def __repr__(self) -> str:
        """Name the ref and its state; no address, so that outputs compare."""
        state = "unloaded" if self.closed else f"n_ctx={self.session.n_ctx}"
        return f"<Model {self.stored.ref} {self.stored.info.label} {state}>"

    @property
    def closed(self) -> bool:
        """Whether it was unloaded for good."""
        return bool(getattr(self.session, "closed", self._closed))

    @overload
    def chat(
        self,
        messages: Conversation,
        *,
        stream: Literal[True],
        **options: Unpack[ChatOptions],
    ) -> Answering: ...
    @overload
    def chat(
        self, messages: Conversation, **options: Unpack[ChatOptions]
    ) -> Result: ...
    @overload
    def chat(
        self, messages: Conversation, *, n: int, **options: Unpack[ChatOptions]
    ) -> list[Result]: ...
    @overload
    def chat(
        self, messages: Conversations, **options: Unpack[ChatOptions]
    ) -> list[Result]: ...
    @overload
    def chat(
        self,
        messages: Conversation,
        *,
        n: int,
        stream: Literal[True],
        **options: Unpack[ChatOptions],
    ) -> AnsweringMany: ...
    @overload
    def chat(
        self,
        messages: Conversations,
        *,
        stream: Literal[True],
        **options: Unpack[ChatOptions],
    ) -> AnsweringMany: ...
    def chat(
        self,
        messages: Conversation | Conversations,
        *,
        system: str | None = None,
        tools: Iterable[ToolLike] = (),
        tool_choice: str = "auto",
        tool_prompt: bool = False,
        think: bool | None = None,
        n: int | None = None,
        stream: bool = False,
        **options: Unpack[Options],
    ) -> Result | list[Result] | Answering | AnsweringMany:
        """Answer a conversation, or several, through the model's own chat template.

        Args:
            messages: What the user says, or a whole conversation; or a list of
                either.
            system: Instructions to put first; by default the model's own, if any.
            tools: Python functions, `Tool`, or dicts as the OpenAI API has them.
            tool_choice: ``auto``, ``none``, ``required`` or a tool's name.
            tool_prompt: Describe tools in the instructions where the template
                knows none.
            think: Whether a model that can think first shall; None: as it does.
            n: So many answers to one conversation, with seeds that count up.
            stream: Return what yields text as it comes, and has the result then.
            options: Sampling and serving, see `Model`; by default the model's own,
                if any, and ``max_tokens`` the settings' cap. ``on_text`` is called
                with new text as it comes, on the calling thread; raising ``cancel``
                stops, as Ctrl-C does.

        Returns:
            The answer. When it was stopped, what there is of it, with the finish
            reason ``interrupted``.

        Raises:
            TemplateError: the model has no chat template, or it refuses.
            ContextTooLong: the conversation leaves no room for an answer.
            GrammarInvalid: the structure cannot be compiled.
            UsageError: an option or a message is none.
            SessionClosed: the model was unloaded.
        """
        asked = self.asker.asked(options)
        manner = Manner(system, tools, tool_choice, tool_prompt, think)
        if manner.tools and not isinstance(manner.tools, Sequence):
            manner = manner._replace(tools=tuple(manner.tools))
        given = conversations(messages)
        questions = [self.asker.chat(one, manner, asked) for one in given.all]
        return self._ask(
            questions,
            options,
            asked,
            is_one=given.is_one,
            n=n,
            stream=stream,
        )

    @overload
    def generate(
        self, prompt: str, *, stream: Literal[True], **options: Unpack[Options]
    ) -> Answering: ...
    @overload
    def generate(self, prompt: str, **options: Unpack[Options]) -> Result: ...
    @overload
    def generate(
        self, prompt: str, *, n: int, **options: Unpack[Options]
    ) -> list[Result]: ...
    @overload
    def generate(self, prompt: Texts, **options: Unpack[Options]) -> list[Result]: ...
    @overload
    def generate(
        self,
        prompt: str,
        *,
        n: int,
        stream: Literal[True],
        **options: Unpack[Options],
    ) -> AnsweringMany: ...
    @overload
    def generate(
        self, prompt: Texts, *, stream: Literal[True], **options: Unpack[Options]
    ) -> AnsweringMany: ...
    def generate(
        self,
        prompt: str | Texts,
        *,
        n: int | None = None,
        stream: bool = False,
        **options: Unpack[Options],
    ) -> Result | list[Result] | Answering | AnsweringMany:
        """Continue a raw text, or several, without a template; otherwise as `chat`.

        Control tokens spelled out in ``prompt`` take effect: raw is raw.
        """
        asked = self.asker.asked(options)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        return self._ask(
            [self.asker.raw(one) for one in prompts],
            options,
            asked,
            is_one=isinstance(prompt, str),
            n=n,
            stream=stream,
        )

    score = score
    embed = embed
    rerank = rerank

    @overload
    def tokenize(self, text: str, *, add_special: bool = ...) -> list[int]: ...
    @overload
    def tokenize(self, text: Texts, *, add_special: bool = ...) -> list[list[int]]: ...
    def tokenize(
        self, text: str | Texts, *, add_special: bool = False
    ) -> list[int] | list[list[int]]:
        """Return the token ids of a text, or of several; with BOS if asked."""
        if isinstance(text, str):
            return self.session.tokenize(text, add_special=add_special)
        return [self.session.tokenize(one, add_special=add_special) for one in text]

    @overload
    def detokenize(self, tokens: Sequence[int]) -> str: ...
    @overload
    def detokenize(self, tokens: Sequence[Sequence[int]]) -> list[str]: ...
    def detokenize(
        self, tokens: Sequence[int] | Sequence[Sequence[int]]
    ) -> str | list[str]:
        """Return the text of tokens, or of several lists; control tokens spelt out."""
        lists = [one for one in tokens if isinstance(one, Iterable)]
        if lists:
            return [self.session.detokenize(one, special=True) for one in lists]
        alone = [one for one in tokens if not isinstance(one, Iterable)]
        return self.session.detokenize(alone, special=True)

    map = map_rows
    achat = achat
    agenerate = agenerate
    ascore = ascore
    aembed = aembed
    arerank = arerank

    def close(self) -> None:
        """Unload the model; what is being generated stops. May be called twice."""
        self._closed = True
        self.session.close()

    def _ask(
        self,
        questions: Sequence[MakeQuestion],
        options: Options,
        asked: Asked,
        *,
        is_one: bool,
        n: int | None,
        stream: bool,
    ) -> Result | list[Result] | Answering | AnsweringMany:
        cancel, on_text = options.get("cancel"), options.get("on_text")
        if is_one and n is None:
            answering = self.asker.one(questions[0], asked, cancel)
            return answering if stream else answering.wait(on_text)
        if on_text is not None:
            msg = "on_text is given and several answers are asked for"
            raise UsageError(msg, hint="iterate over what stream=True returns")
        if n is None:
            answers = self.asker.many(questions, asked, cancel, stream=stream)
        elif is_one:
            answers = self.asker.several(questions[0], n, asked, cancel, stream=stream)
        else:
            msg = f"n is {n} and there are {len(questions)} questions"
            raise UsageError(msg, hint="ask one question n times, or several once")
        return answers if stream else answers.results

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
