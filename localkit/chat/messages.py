"""Messages: who said what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from localkit.errors import UsageError

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Raises:
        UsageError: the role is not one of `ROLES`, or the content is no text that
            can be written as UTF-8.
    """

    role: Role
    content: str = field(repr=False)
    """Left out of the repr, so that no log or traceback carries it."""

    def __post_init__(self) -> None:
        """Refuse what no template can render."""
        if self.role not in ROLES:
            msg = f"message role is {self.role!r}"
            raise UsageError(msg, hint=f"use one of {', '.join(ROLES)}")
        content: object = self.content
        if not isinstance(content, str):
            msg = f"message content is a {type(content).__name__}, not text"
            raise UsageError(msg, hint="pass a str")
        try:
            content.encode()
        except UnicodeEncodeError as error:
            msg = f"character {error.start} of a message is half a surrogate pair"
            hint = "clean it: text.encode('utf-8', 'replace').decode()"
            raise UsageError(msg, hint=hint) from error


MessageLike = Message | Mapping[str, str]
"""A message, or a mapping with exactly ``role`` and ``content``."""


def as_messages(
    value: str | MessageLike | Iterable[MessageLike], *, system: str | None = None
) -> tuple[Message, ...]:
    """Return ``value`` as messages: a plain text is what the user says.

    Args:
        value: A text, one message, or messages in order.
        system: Instructions to put first.

    Raises:
        UsageError: ``value`` is something else or holds nothing, or both it and
            ``system`` give instructions.
    """
    if isinstance(value, str):
        messages = [Message("user", value)]
    elif isinstance(value, Message | Mapping):
        messages = [_as_message(value)]
    elif isinstance(value, Iterable):
        messages = [_as_message(item) for item in value]
    else:
        raise _not_a_message(value)
    if not messages:
        msg = "the conversation holds no message"
        raise UsageError(msg, hint="pass a text, or a list of messages")
    if system is not None:
        if messages[0].role == "system":
            msg = "the messages begin with a system message and system= was given too"
            raise UsageError(msg, hint="give the instructions once")
        messages.insert(0, Message("system", system))
    return tuple(messages)


def _as_message(value: object) -> Message:
    if isinstance(value, Message):
        return value
    if isinstance(value, Mapping):
        if set(value) != {"role", "content"}:
            names = ", ".join(sorted(map(str, value))) or "nothing"
            msg = f"a message holds {names}, not role and content"
            raise UsageError(msg, hint='pass {"role": "user", "content": "…"}')
        return Message(cast("Role", value["role"]), value["content"])
    raise _not_a_message(value)


def _not_a_message(value: object) -> UsageError:
    return UsageError(
        f"a {type(value).__name__} is not a message",
        hint='pass a text, Message("user", "…") or {"role": "user", "content": "…"}',
    )
