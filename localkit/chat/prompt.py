"""A conversation as the tokens that a model continues."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from localkit.chat.guard import ControlGuard, Mask
from localkit.chat.named import suggested
from localkit.chat.showing import show_images
from localkit.chat.template_choice import choose, doubts
from localkit.chat.texts import message_texts, texts_in
from localkit.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from localkit.chat.messages import Message
    from localkit.chat.template_choice import AnyTemplate, Choice
    from localkit.runtime.protocol import Session
    from localkit.runtime.vision.images import Image


class ChatPrompt(NamedTuple):
    """A rendered conversation."""

    tokens: list[int]
    text: str
    """What the template wrote, control tokens spelled out."""
    template_digest: str
    images: tuple[Image, ...] = ()
    """What the tokens show, for `Session.stream`."""


def chat_tokens(
    session: Session,
    messages: Sequence[Message],
    *,
    add_generation_prompt: bool = True,
    tools: Sequence[Mapping[str, Any]] = (),
    think: bool | None = None,
    prefill: Callable[[str], str] = lambda _: "",
    choice: Choice | None = None,
) -> ChatPrompt:
    """Render ``messages`` with the model's own template and tokenize the result.

    Control tokens come from the template alone: a control text in a message or a
    tool is tokenized as the characters it is. Where none holds one, the tokens are
    those of the rendered text with special tokens parsed. The text begins with BOS
    if the model's tokenizer adds one, once.

    Args:
        session: The model.
        messages: The conversation.
        add_generation_prompt: End with what begins the model's answer.
        tools: Tools as the OpenAI API has them.
        think: What to tell a template that asks; None tells it nothing.
        prefill: Gets what the template wrote, and returns what to continue it with;
            control tokens in that take effect.
        choice: The template in use; None: the one in the GGUF.

    Raises:
        TemplateError: the model has no chat template, or it fails or refuses, or
            drops an image.
        Unsupported: a message shows an image, and the model cannot see.
    """
    template, guard, _ = equipment(session, choice)
    messages, showing = show_images(messages, template=template.source, tools=tools)
    images = tuple(showing.images.values())

    def rendered(
        hidden: Sequence[Message], of_tools: Sequence[Mapping[str, Any]]
    ) -> str:
        return template.render(
            hidden,
            add_generation_prompt=add_generation_prompt,
            tools=of_tools,
            think=think,
        )

    if not guard.may_matter(messages, tools):
        text = rendered(messages, tools)
        text += prefill(text)
        tokens = showing.tokens(
            session,
            text,
            lambda part: session.tokenize(part, add_special=False, parse_special=True),
        )
        text = showing.spelled(text)
        return ChatPrompt(_with_bos(session, tokens), text, template.digest, images)

    written = [text for message in messages for text in message_texts(message)]
    mask = Mask([template.source, *written, *texts_in(list(tools))])
    # A template may put a control text together: by joining contents, changing
    # their case or cutting them. Hiding single marks prevents that, but also hides
    # them from what the template legitimately looks for. So both are rendered, and
    # the second is used only if the first holds other control texts.
    faithful = rendered(
        [guard.hide_controls(message, mask) for message in messages],
        guard.hide_controls_of_tools(tools, mask),
    )
    strict = rendered(
        [guard.hide_marks(message, mask) for message in messages],
        guard.hide_marks_of_tools(tools, mask),
    )
    same = guard.controls_in(faithful) == guard.controls_in(strict)
    masked = faithful if same else strict
    masked += prefill(masked)
    tokens = showing.tokens(
        session, masked, lambda part: _tokenize(session, guard, mask, part)
    )
    text = mask.reveal(showing.spelled(masked))
    return ChatPrompt(_with_bos(session, tokens), text, template.digest, images)


def _tokenize(
    session: Session, guard: ControlGuard, mask: Mask, masked: str
) -> list[int]:
    """Tokenize what the template wrote, and as plain text what is hidden in it.

    The cuts fall on control tokens, where the tokenizer itself cuts, so that text
    around a hidden part gets the tokens it would get without it.
    """
    tokens: list[int] = []
    trusted: list[str] = []
    for part in [*guard.split(masked), None]:
        if part is not None and not mask.hides_in(part):
            trusted.append(part)
            continue
        if any(trusted):
            text = "".join(trusted)
            tokens += session.tokenize(text, add_special=False, parse_special=True)
            trusted.clear()
        if part is not None:
            tokens += guard.tokenize_as_text(mask.reveal(part))
    return tokens


def _with_bos(session: Session, tokens: list[int]) -> list[int]:
    if session.adds_bos and session.bos is not None and tokens[:1] != [session.bos]:
        return [session.bos, *tokens]
    return tokens


class Equipment(NamedTuple):
    """What every prompt of one session and template needs."""

    template: AnyTemplate
    guard: ControlGuard
    doubts: tuple[str, ...] = ()
    """Why the template may not be the model's own."""


_equipped: WeakKeyDictionary[Session, dict[Choice | None, Equipment]] = (
    WeakKeyDictionary()
)


def equipment(session: Session, choice: Choice | None = None) -> Equipment:
    """Return the session's template and guard, made at their first prompt.

    Raises:
        TemplateError: the model has no chat template.
    """
    known = _equipped.setdefault(session, {})
    if choice not in known:
        used = choice or choose(session.info)
        if used is None:
            raise _no_template(session)
        template = used.template(
            bos_token=_text_of(session, session.bos),
            eos_token=_text_of(session, session.eos),
        )
        known[choice] = Equipment(
            template,
            ControlGuard(session, template.source),
            doubts(used, session.control_tokens),
        )
    return known[choice]


def _no_template(session: Session) -> TemplateError:
    hint = "call generate(prompt) for raw text, or take a model made for chat"
    fitting = suggested(session.control_tokens)
    if fitting is not None:
        hint += (
            f"; its vocabulary has the marks of '{fitting}', so a variant with such "
            "a template may work (localkit create)"
        )
    return TemplateError("the model carries no chat template", hint=hint)


def _text_of(session: Session, token: int | None) -> str:
    """Return how a control token is spelled; empty when the model has none."""
    spelled = (text for text, id_ in session.control_tokens.items() if id_ == token)
    return next(spelled, "")
