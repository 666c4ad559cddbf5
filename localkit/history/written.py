"""A conversation written out: to read, as Markdown, as the OpenAI API has it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from localkit.history.images import as_png
from localkit.render.as_markdown import block, inline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from localkit.chat.messages import Message


def as_text(messages: Sequence[Message], *, limit: int) -> tuple[str, int]:
    """Return messages as text to read, who and then what, and how many are left out.

    Those at the end stay, up to ``limit`` characters; a last one that is longer is
    cut, and says so.
    """
    texts: list[str] = []
    room = limit
    for one in reversed(messages):
        text = "\n".join([f"[{_who(one)}]", *_beside(one), one.content]).rstrip()
        if len(text) > room and texts:
            break
        if len(text) > room:
            text = f"{text[:room]}\n… cut, of {len(text)} characters"
        texts.append(text)
        room -= len(text)
    return "\n\n".join(reversed(texts)), len(messages) - len(texts)


def as_markdown(name: str, messages: Iterable[Message]) -> str:
    """Return messages as Markdown that shows every character and runs nothing."""
    parts = [f"# {inline(name)}"]
    for one in messages:
        parts.append(f"## {inline(_who(one))}")
        parts.extend(block(text) for text in _beside(one))
        if one.content:
            parts.append(block(one.content))
    return "\n\n".join(parts)


def as_api(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return messages as the OpenAI API has them, images inside.

    `chat.messages.as_messages` reads them back.
    """
    return [_as_api(one) for one in messages]


def _as_api(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.images:
        fields["content"] = _parts(message)
    if message.thinking:
        fields["reasoning_content"] = message.thinking
    if message.tool_calls:
        fields["tool_calls"] = [call.as_dict() for call in message.tool_calls]
    if message.name:
        fields["name"] = message.name
    if message.tool_call_id:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _parts(message: Message) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    at = 0
    for placed in message.images:
        if placed.at > at:
            parts.append({"type": "text", "text": message.content[at : placed.at]})
            at = placed.at
        data = base64.b64encode(as_png(placed.image)).decode()
        url = {"url": f"data:image/png;base64,{data}"}
        parts.append({"type": "image_url", "image_url": url})
    if at < len(message.content):
        parts.append({"type": "text", "text": message.content[at:]})
    return parts


def _who(message: Message) -> str:
    return f"{message.role} {message.name}" if message.name else message.role


def _beside(message: Message) -> list[str]:
    """Return what a message holds beside its text, a line each."""
    thought = f"(thought) {message.thinking}" if message.thinking else ""
    shown = [
        f"(image, {placed.image.width} × {placed.image.height})"
        for placed in message.images
    ]
    calls = [f"(calls) {call.as_json()}" for call in message.tool_calls]
    return [line for line in (thought, *shown, *calls) if line]
