"""Messages and tools of inspect_ai, as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageTool,
    ContentImage,
    ContentReasoning,
    ContentText,
)
from inspect_ai.tool import ToolFunction

from localkit.chat.messages import Message
from localkit.chat.parts import read_parts
from localkit.chat.tools import Tool, ToolCall
from localkit.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inspect_ai.model import ChatMessage
    from inspect_ai.tool import ToolChoice, ToolInfo


def as_message(message: ChatMessage) -> Message:
    """Return one message.

    Raises:
        Unsupported: it holds audio, video or a document.
        UsageError: an image cannot be read.
    """
    thinking = []
    parts: list[Any] = []
    for part in message.content_list:
        match part:
            case ContentText():
                parts.append(part.text)
            case ContentReasoning():
                thinking.append(part.reasoning)
            case ContentImage():
                parts.append({"type": "image_url", "image_url": {"url": part.image}})
            case _:
                msg = f"a message holds a part of type '{part.type}'"
                raise Unsupported(msg, hint="models here read text and images")
    text, images = read_parts(parts)
    match message:
        case ChatMessageTool():
            return Message(
                "tool",
                f"error: {message.error.message}" if message.error else text,
                name=message.function or "",
                tool_call_id=message.tool_call_id or "",
            )
        case ChatMessageAssistant():
            calls = tuple(
                ToolCall(call.function, call.arguments, id=call.id)
                for call in message.tool_calls or ()
            )
            return Message(
                "assistant", text, thinking="\n".join(thinking), tool_calls=calls
            )
        case _:
            return Message(message.role, text, images=images)


def as_tools(tools: Sequence[ToolInfo]) -> tuple[Tool, ...]:
    """Return the tools that a model may call."""
    return tuple(
        Tool(tool.name, tool.description, tool.parameters.model_dump(exclude_none=True))
        for tool in tools
    )


def as_tool_choice(choice: ToolChoice) -> str:
    """Return which tool is to be called, in our words."""
    if isinstance(choice, ToolFunction):
        return str(choice.name)
    return "required" if choice == "any" else str(choice)
