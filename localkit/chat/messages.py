"""Messages: who said what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from localkit.chat.parts import PlacedImage, read_parts
from localkit.chat.tools import ToolCall, as_tool_call
from localkit.errors import UsageError

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Raises:
        UsageError: the role is not one of `ROLES`, a text cannot be written as
            UTF-8, or somebody other than the assistant thinks or calls tools.
    """

    role: Role
    content: str = field(repr=False)
    """Left out of the repr, so that no log or traceback carries it."""
    thinking: str = field(default="", repr=False)
    """What the assistant thought before it answered."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls the assistant made."""
    name: str = ""
    """Tool whose result this is."""
    tool_call_id: str = ""
    """Call whose result this is."""
    images: tuple[PlacedImage, ...] = field(default=(), repr=False)
    """What the user shows, with its places in `content`."""

    def __post_init__(self) -> None:
        """Refuse what no template can render."""
        if self.role not in ROLES:
            msg = f"message role is {self.role!r}"
            raise UsageError(msg, hint=f"use one of {', '.join(ROLES)}")
        for text in (self.content, self.thinking, self.name, self.tool_call_id):
            _check_text(text)
        if self.images and self.role != "user":
            msg = f"a message of role '{self.role}' holds images"
            raise UsageError(msg, hint="only the user shows images")
        for placed in self.images:
            if not 0 <= placed.at <= len(self.content):
                msg = f"an image is at {placed.at} of {len(self.content)} characters"
                raise UsageError(msg, hint="give the character it stands before")
        if self.role != "assistant" and (self.thinking or self.tool_calls):
            msg = f"a message of role '{self.role}' holds thinking or tool calls"
            raise UsageError(msg, hint="only the assistant thinks and calls tools")
        if self.role != "tool" and (self.name or self.tool_call_id):
            msg = f"a message of role '{self.role}' names a tool or a call"
            raise UsageError(msg, hint="only the result of a tool does")


MessageLike = Message | Mapping[str, Any]
"""A message, or a mapping with ``role`` and ``content`` as the OpenAI API has it."""


def tool_result(call: ToolCall, content: str) -> Message:
    """Return the message that tells the model what ``call`` gave."""
    return Message("tool", content, name=call.name, tool_call_id=call.id)


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


_ALWAYS = {"role": "role", "content": "content"}
# Names that the OpenAI API and its followers give to what else a message holds.
_BY_ROLE = {
    "assistant": {
        "thinking": "thinking",
        "reasoning_content": "thinking",
        "tool_calls": "tool_calls",
    },
    "tool": {"name": "name", "tool_name": "name", "tool_call_id": "tool_call_id"},
}


def _as_message(value: object) -> Message:
    if isinstance(value, Message):
        return value
    if not isinstance(value, Mapping):
        raise _not_a_message(value)
    # An assistant that only calls tools has no content, and null in the API.
    given = dict(value)
    if given.get("tool_calls") and given.get("content") is None:
        given["content"] = ""
    known = _ALWAYS | _BY_ROLE.get(str(given.get("role")), {})
    if not {"role", "content"} <= given.keys() <= known.keys():
        names = ", ".join(sorted(map(str, value))) or "nothing"
        msg = f"a message holds {names}, not role and content"
        raise UsageError(msg, hint='pass {"role": "user", "content": "…"}')
    # Optional values may be null in the API.
    fields: dict[str, Any] = {
        known[key]: item
        for key, item in given.items()
        if item is not None or key in ("role", "content")
    }
    content, images = fields.pop("content"), tuple[PlacedImage, ...]()
    if isinstance(content, list | tuple):
        content, images = read_parts(content)
    calls = fields.pop("tool_calls", ())
    if isinstance(calls, str | Mapping) or not isinstance(calls, Iterable):
        msg = f"tool_calls is a {type(calls).__name__}, not a list"
        raise UsageError(msg, hint="pass a list of calls, as the OpenAI API has it")
    return Message(
        cast("Role", fields.pop("role")),
        content,
        images=images,
        tool_calls=tuple(as_tool_call(call) for call in calls),
        **fields,
    )


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        msg = f"message content is a {type(text).__name__}, not text"
        raise UsageError(msg, hint="pass a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = f"character {error.start} of a message is half a surrogate pair"
        hint = "clean it: text.encode('utf-8', 'replace').decode()"
        raise UsageError(msg, hint=hint) from error


def _not_a_message(value: object) -> UsageError:
    return UsageError(
        f"a {type(value).__name__} is not a message",
        hint='pass a text, Message("user", "…") or {"role": "user", "content": "…"}',
    )
