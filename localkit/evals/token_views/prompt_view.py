"""A prompt as the model reads it: every token, whose it is, and what is left out."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from localkit.asking.defaults import opened
from localkit.chat.answering import prepare
from localkit.chat.messages import as_messages
from localkit.chat.prompt import chat_tokens
from localkit.chat.template_choice import choice_of
from localkit.chat.tools import as_tools
from localkit.config import settings
from localkit.errors import UsageError
from localkit.evals.token_views.placing import Place, control_texts, place
from localkit.evals.token_views.spelling import Spelling, spell
from localkit.runtime.pool.pooled import use

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from localkit.chat.answering import Prepared
    from localkit.chat.messages import Message, MessageLike
    from localkit.chat.template_choice import Choice
    from localkit.chat.tools import Tool, ToolLike
    from localkit.model import Model

Fit = Literal["drop-oldest"]


class PromptToken(NamedTuple):
    """One token of a prompt."""

    id: int
    """Negative ones are parts of an image."""
    spelling: Spelling
    kind: Literal["control", "template", "message", "opening"]
    """``opening``: what begins the model's answer, its control tokens too."""
    message: int | None
    """Index of the message whose content it is."""


class PromptPart(NamedTuple):
    """One message, as far as it is in the prompt."""

    number: int
    """Place in the conversation, from 0."""
    role: str
    n_tokens: int
    """Tokens of its content; what the template writes around it is not counted."""
    n_chars: int
    state: Literal["whole", "changed", "left out", "dropped"]
    """``changed``: the template wrote something else of it; ``dropped``: it went so
    that the rest fits."""
    why: str = ""


class Guarded(NamedTuple):
    """A control text in a message, which stayed text."""

    message: int
    text: str


@dataclass(frozen=True, slots=True)
class PromptView:
    """A rendered prompt, token by token."""

    ref: str
    template: str
    """Which one was used: ``jinja (from the GGUF)``; ``none (raw text)``."""
    text: str
    """What the template wrote, control tokens spelled out."""
    tokens: tuple[PromptToken, ...]
    parts: tuple[PromptPart, ...]
    """One a message, those that the model brought along among them."""
    n_ctx: int
    max_tokens: int
    """Most tokens of the answer."""
    adds_bos: bool
    """Whether the tokenizer puts BOS before a text."""
    guarded: tuple[Guarded, ...] = ()
    would_drop: tuple[int, ...] = ()
    """Messages that would have to go, oldest first, so that prompt and answer fit.
    Nothing goes by itself: the answer is cut, or the prompt refused."""
    notes: tuple[str, ...] = ()

    @property
    def n_tokens(self) -> int:
        """Tokens of the prompt."""
        return len(self.tokens)

    @property
    def room(self) -> int:
        """Tokens of the context that are left for the answer; negative: too long."""
        return self.n_ctx - self.n_tokens

    @property
    def overrun(self) -> int:
        """Tokens by which prompt and answer together pass the context."""
        return max(0, self.n_tokens + self.max_tokens - self.n_ctx)

    def n_of(self, kind: str) -> int:
        """Return how many tokens are of a kind."""
        return sum(token.kind == kind for token in self.tokens)

    def plain(self) -> str:
        """Return the whole view as text, the same for the same prompt."""
        from localkit.evals.token_views.prompt_text import prompt_text

        return prompt_text(self)


def view_prompt(
    model: Model,
    messages: str | MessageLike | Iterable[MessageLike],
    *,
    system: str | None = None,
    tools: Iterable[ToolLike] = (),
    think: bool | None = None,
    max_tokens: int | None = None,
    fit: Fit | None = None,
    raw: bool = False,
) -> PromptView:
    """Render a conversation as `Model.chat` would, and say what became of it.

    Args:
        model: Loaded, for its tokenizer; nothing is generated.
        messages: What the user says, or a whole conversation.
        system: Instructions to put first; by default the model's own, if any.
        tools: What the model may call.
        think: Whether a model that can think shall.
        max_tokens: Room that the answer wants; default: the settings' cap.
        fit: ``drop-oldest``: leave out the oldest turns until prompt and answer fit.
            None: leave out nothing, and say what would have to go.
        raw: Take a text as it is, without the template.

    Raises:
        TemplateError: the model has no chat template, or it refuses.
        UsageError: the messages are none, or raw text is no text.
    """
    wanted = settings().max_tokens if max_tokens is None else max_tokens
    with use(model.session):
        if raw:
            return _raw_view(model, messages, system, wanted)
        given = as_messages(messages, system=system)
        opening = opened(model.stored, given)
        rendering = _Rendering(model, as_tools(tools), think)
        everything = opening.messages
        dropped = _to_drop(rendering, everything, model.session.n_ctx - wanted)
        kept = list(range(len(everything)))
        if fit == "drop-oldest":
            kept = [index for index in kept if index not in dropped]
        view = _view(rendering, everything, kept, wanted)
    notes = list(view.notes)
    if opening.of_model:
        notes.append(f"the model brought along: {', '.join(opening.of_model)}")
    return dataclasses.replace(view, would_drop=dropped, notes=tuple(notes))


class _Rendering(NamedTuple):
    """How one conversation is put to one model."""

    model: Model
    tools: tuple[Tool, ...]
    think: bool | None

    @property
    def choice(self) -> Choice | None:
        return choice_of(self.model.stored)

    def prepared(self, messages: Sequence[Message]) -> Prepared:
        return prepare(
            self.model.session,
            messages,
            tools=self.tools,
            think=self.think,
            choice=self.choice,
        )


def _view(
    rendering: _Rendering,
    everything: Sequence[Message],
    kept: Sequence[int],
    max_tokens: int,
) -> PromptView:
    session, choice = rendering.model.session, rendering.choice
    messages = [everything[index] for index in kept]
    prepared = rendering.prepared(messages)
    # The template's own words for the beginning of an answer come last.
    shown_tools = [tool.as_dict() for tool in rendering.tools]
    without = chat_tokens(
        session,
        messages,
        add_generation_prompt=False,
        tools=shown_tools,
        think=rendering.think,
        choice=choice,
    )
    n_before = len(without.tokens)
    is_end = prepared.tokens[:n_before] == without.tokens
    spellings = spell(session, prepared.tokens)
    places = place(
        session,
        messages,
        prepared,
        spellings,
        choice=choice,
        tools=shown_tools,
        think=rendering.think,
    )
    tokens = tuple(
        _token(
            token,
            spelling,
            None if at is None else kept[at],
            opens=is_end and index >= n_before,
        )
        for index, (token, spelling, at) in enumerate(
            zip(prepared.tokens, spellings, places.owners, strict=True)
        )
    )
    found = {kept[at]: one for at, one in enumerate(places.messages)}
    guarded = tuple(
        Guarded(index, text)
        for index, message in enumerate(everything)
        if index in found
        for text in control_texts(session, message.content, choice)
        if not _acts(tokens, index, text)
    )
    return PromptView(
        ref=str(rendering.model.stored.ref),
        template=choice.label if choice else "none",
        text=prepared.text,
        tokens=tokens,
        parts=tuple(
            _part(index, message, found.get(index), tokens)
            for index, message in enumerate(everything)
        ),
        n_ctx=session.n_ctx,
        max_tokens=max_tokens,
        adds_bos=session.adds_bos,
        guarded=guarded,
        notes=(*prepared.notes, *places.notes),
    )


def _token(
    token: int, spelling: Spelling, message: int | None, *, opens: bool
) -> PromptToken:
    if opens:
        return PromptToken(token, spelling, "opening", None)
    if spelling.control and message is None:
        return PromptToken(token, spelling, "control", None)
    kind: Literal["control", "template", "message"]
    kind = "template" if message is None else "message"
    return PromptToken(token, spelling, kind, message)


def _part(
    index: int, message: Message, found: Place | None, tokens: Sequence[PromptToken]
) -> PromptPart:
    n_tokens = sum(token.message == index for token in tokens)
    n_chars = len(message.content)
    if found is None:
        why = "the oldest turns go first, so that prompt and answer fit"
        return PromptPart(index, message.role, 0, n_chars, "dropped", why)
    return PromptPart(index, message.role, n_tokens, n_chars, found.state, found.why)


def _acts(tokens: Sequence[PromptToken], index: int, text: str) -> bool:
    """Return whether a text of a message became a token of its own after all."""
    return any(
        token.message == index
        and token.spelling.control
        and token.spelling.text == text
        for token in tokens
    )


def _to_drop(
    rendering: _Rendering, messages: Sequence[Message], most: int
) -> tuple[int, ...]:
    """Return which messages must go for the rest to be ``most`` tokens at most.

    Turns go whole, the oldest first: a question with all that follows it up to the
    next. Instructions and the last turn stay; where those alone are too long, all
    the others go.
    """
    starts = [at for at, one in enumerate(messages) if one.role == "user"]

    def gone(n_turns: int) -> list[int]:
        if not n_turns:
            return []
        turns = range(starts[0], starts[n_turns])
        return [at for at in turns if messages[at].role != "system"]

    def fits(n_turns: int) -> bool:
        out = set(gone(n_turns))
        kept = [one for at, one in enumerate(messages) if at not in out]
        return len(rendering.prepared(kept).tokens) <= most

    most_turns = max(len(starts) - 1, 0)
    n_turns = bisect_left(range(most_turns), x=True, key=fits)
    return tuple(gone(n_turns))


def _raw_view(
    model: Model,
    text: str | MessageLike | Iterable[MessageLike],
    system: str | None,
    max_tokens: int,
) -> PromptView:
    if not isinstance(text, str) or system is not None:
        msg = "raw text is one text, and takes no system message"
        raise UsageError(msg, hint="leave out raw, or give the text alone")
    session = model.session
    ids = session.tokenize(text, parse_special=True)
    spellings = spell(session, ids)
    tokens = tuple(
        PromptToken(id_, one, "control" if one.control else "message", None)
        for id_, one in zip(ids, spellings, strict=True)
    )
    return PromptView(
        ref=str(model.stored.ref),
        template="none (raw text)",
        text=text,
        tokens=tokens,
        parts=(),
        n_ctx=session.n_ctx,
        max_tokens=max_tokens,
        adds_bos=session.adds_bos,
    )
