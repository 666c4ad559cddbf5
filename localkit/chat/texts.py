"""Every text inside a message or a tool, to be looked at or changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localkit.chat.messages import Message


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts in nested lists and dicts, keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_in(key)
            yield from texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)


def change_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return nested lists and dicts with every text changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            change_texts(key, change): change_texts(item, change)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [change_texts(item, change) for item in value]
    return value


def message_texts(message: Message) -> Iterator[str]:
    """Yield what somebody wrote in ``message``, arguments of calls included."""
    yield message.content
    yield message.thinking
    yield message.name
    yield message.tool_call_id
    for call in message.tool_calls:
        yield call.name
        yield call.id
        yield from texts_in(dict(call.arguments))


def change_message(message: Message, change: Callable[[str], str]) -> Message:
    """Return ``message`` with every text in it changed."""
    calls = tuple(
        replace(
            call,
            name=change(call.name),
            id=change(call.id),
            arguments=change_texts(dict(call.arguments), change),
        )
        for call in message.tool_calls
    )
    return replace(
        message,
        content=change(message.content),
        thinking=change(message.thinking),
        name=change(message.name),
        tool_call_id=change(message.tool_call_id),
        tool_calls=calls,
    )
