"""Tools for a model whose template knows none: described in the system message.

The words are those of the templates of Hermes and Qwen 2.5, which other models
have seen most of.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localkit.chat.messages import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.chat.tools import Tool

_INTRODUCTION = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments \
within <tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


def describe_tools(
    messages: Sequence[Message], tools: Sequence[Tool]
) -> tuple[Message, ...]:
    """Return ``messages`` with tools, calls and results written out as text."""
    lines = [json.dumps(tool.as_dict(), ensure_ascii=False) for tool in tools]
    about = _INTRODUCTION.format(tools="\n".join(lines))
    instructions, rest = "", list(messages)
    if rest and rest[0].role == "system":
        instructions = rest.pop(0).content
    system = Message("system", f"{instructions}\n\n{about}".lstrip())
    return (system, *map(_written, rest))


def _written(message: Message) -> Message:
    if message.role == "tool":
        return Message("user", f"<tool_response>\n{message.content}\n</tool_response>")
    if not message.tool_calls:
        return message
    calls = [
        f"<tool_call>\n{call.as_json()}\n</tool_call>" for call in message.tool_calls
    ]
    content = "\n".join([message.content, *calls] if message.content else calls)
    return Message("assistant", content, thinking=message.thinking)
