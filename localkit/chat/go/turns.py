"""A conversation gathered as Ollama gathers it (``template.go``: ``collate``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.chat.messages import Message
    from localkit.chat.tools import ToolCall

_BETWEEN = "\n\n"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a template, or several of one role put together."""

    role: str
    content: str
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str = ""
    tool_call_id: str = ""


def gather(messages: Sequence[Message]) -> tuple[str, list[Turn]]:
    """Return all instructions as one text, and the turns.

    Messages of one role that follow each other become one turn, results of tools
    apart. Ollama keeps the calls and the thinking of the first of them alone; here
    the turn has all.
    """
    turns: list[Turn] = []
    for message in messages:
        turn = Turn(
            message.role,
            message.content,
            message.thinking,
            message.tool_calls,
            message.name,
            message.tool_call_id,
        )
        before = turns[-1] if turns else None
        if before is None or before.role != turn.role or turn.role == "tool":
            turns.append(turn)
            continue
        turns[-1] = replace(
            before,
            content=before.content + _BETWEEN + turn.content,
            thinking=_BETWEEN.join(filter(None, (before.thinking, turn.thinking))),
            tool_calls=before.tool_calls + turn.tool_calls,
        )
    system = _BETWEEN.join(one.content for one in messages if one.role == "system")
    return system, turns
