"""A conversation as the tokens that a model continues."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from localkit.chat.guard import ControlGuard, Mask
from localkit.chat.template import ChatTemplate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.chat.messages import Message
    from localkit.runtime.protocol import Session


class ChatPrompt(NamedTuple):
    """A rendered conversation."""

    tokens: list[int]
    text: str
    """What the template wrote, control tokens spelled out."""
    template_digest: str


def chat_tokens(
    session: Session, messages: Sequence[Message], *, add_generation_prompt: bool = True
) -> ChatPrompt:
    """Render ``messages`` with the model's own template and tokenize the result.

    Control tokens come from the template alone: a control text in a message is
    tokenized as the characters it is. Where no message holds one, the tokens are
    those of the rendered text with special tokens parsed. The text begins with BOS
    if the model's tokenizer adds one, once.

    Raises:
        TemplateError: the model has no chat template, or it fails or refuses.
    """
    template, guard = _equipment(session)
    if not guard.may_matter(messages):
        text = template.render(messages, add_generation_prompt=add_generation_prompt)
        tokens = session.tokenize(text, add_special=False, parse_special=True)
        return ChatPrompt(_with_bos(session, tokens), text, template.digest)

    mask = Mask([template.source, *(message.content for message in messages)])
    # A template may put a control text together: by joining contents, changing
    # their case or cutting them. Hiding single marks prevents that, but also hides
    # them from what the template legitimately looks for. So both are rendered, and
    # the second is used only if the first holds other control texts.
    faithful, strict = (
        template.render(
            [hide(message, mask) for message in messages],
            add_generation_prompt=add_generation_prompt,
        )
        for hide in (guard.hide_controls, guard.hide_marks)
    )
    same = guard.controls_in(faithful) == guard.controls_in(strict)
    masked = faithful if same else strict
    tokens = _tokenize(session, guard, mask, masked)
    return ChatPrompt(_with_bos(session, tokens), mask.reveal(masked), template.digest)


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


class _Equipment(NamedTuple):
    template: ChatTemplate
    guard: ControlGuard


_equipped: WeakKeyDictionary[Session, _Equipment] = WeakKeyDictionary()


def _equipment(session: Session) -> _Equipment:
    """Return the session's template and guard, made at its first prompt."""
    if session not in _equipped:
        template = ChatTemplate(
            session.info.chat_template,
            bos_token=_text_of(session, session.bos),
            eos_token=_text_of(session, session.eos),
        )
        guard = ControlGuard(session, template.source)
        _equipped[session] = _Equipment(template, guard)
    return _equipped[session]


def _text_of(session: Session, token: int | None) -> str:
    """Return how a control token is spelled; empty when the model has none."""
    spelled = (text for text, id_ in session.control_tokens.items() if id_ == token)
    return next(spelled, "")
