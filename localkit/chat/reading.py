"""An answer as it comes: thinking, text and tool calls told apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localkit.chat.call_parser import (
    Parsed,
    find_opener,
    parse_calls,
    parse_channel_calls,
)
from localkit.chat.harmony import HarmonySplitter
from localkit.chat.messages import Message
from localkit.chat.thinking import Delta, ThinkingSplitter, ThinkingStyle, undecided

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.chat.call_syntax import CallSyntax
    from localkit.chat.tools import Tool, ToolCall
    from localkit.runtime.protocol import FinishReason, Piece


@dataclass(frozen=True, slots=True)
class Reading:
    """What has to be known to read an answer."""

    style: ThinkingStyle | None = None
    """None: nothing is thought before this answer."""
    inside: bool = False
    """Whether the prompt ends inside thinking."""
    channels: bool = False
    """Whether it is an answer of gpt-oss."""
    syntax: CallSyntax | None = None
    """None: no tool was offered, so no text is a call."""
    tools: tuple[Tool, ...] = ()
    begins: str = ""
    """What the prompt already holds of the answer: the head of a forced call."""
    spelled: Mapping[int, str] = field(default_factory=dict)
    """Control tokens that tell parts apart, and which no text shows."""
    salt: str = ""
    """What the ids of calls are made of, beside the calls."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, told apart."""

    text: str = field(repr=False)
    thinking: str = field(repr=False)
    tool_calls: tuple[ToolCall, ...]
    finish_reason: FinishReason
    notes: tuple[str, ...]
    """What the caller should know: calls that cannot be read, tools not offered."""
    tail: Delta = field(repr=False)
    """What was held back until the end, and is part of the texts above."""

    @property
    def message(self) -> Message:
        """Return the answer as the assistant's turn of a conversation."""
        return Message(
            "assistant",
            self.text,
            thinking=self.thinking,
            tool_calls=self.tool_calls,
        )


class AnswerReader:
    """Read one answer while it is sampled."""

    def __init__(self, reading: Reading) -> None:
        """Start where the prompt ends."""
        self._reading = reading
        self._splitter = (
            HarmonySplitter()
            if reading.channels
            else ThinkingSplitter(reading.style, inside=reading.inside)
        )
        self._calls = _CallHolder(reading)
        self._thinking: list[str] = []
        self._text: list[str] = []
        self._keep(self._splitter.add(reading.begins))

    def add(self, piece: Piece) -> Delta:
        """Return what ``piece`` makes certain; a call is held back as it begins."""
        text = piece.text
        spelled = self._reading.spelled.get(piece.token, "")
        if spelled and spelled not in text:
            text += spelled
        return self._keep(self._splitter.add(text))

    def finish(self, finish_reason: FinishReason) -> Answer:
        """Return the whole answer, now that no more comes."""
        was_thinking = self._splitter.is_thinking
        last = self._keep(self._splitter.finish())
        parsed = self._calls.finish(self._splitter)
        self._text.append(parsed.text)
        notes = list(parsed.notes)
        if was_thinking and finish_reason == "length":
            notes.append("cut while the model was thinking: it has not answered yet")
        if parsed.tool_calls and finish_reason == "stop":
            finish_reason = "tool_calls"
        return Answer(
            text="".join(self._text),
            thinking="".join(self._thinking),
            tool_calls=parsed.tool_calls,
            finish_reason=finish_reason,
            notes=tuple(notes),
            tail=Delta(last.thinking, last.text + parsed.text),
        )

    def _keep(self, new: Delta) -> Delta:
        shown = Delta(new.thinking, self._calls.add(new.text))
        self._thinking.append(shown.thinking)
        self._text.append(shown.text)
        return shown


class _CallHolder:
    """Hold back text that is, or may become, a tool call."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._held = ""
        self._found = False
        self._at_start = True

    def add(self, text: str) -> str:
        """Return what is certainly no call."""
        syntax = self._reading.syntax
        if syntax is None or self._reading.channels:
            return text
        self._held += text
        if self._found:
            return ""
        start = find_opener(self._held, syntax, at_start=self._at_start)
        if start is None:
            end = len(self._held) - undecided(self._held, syntax.openers)
        else:
            self._found = True
            end = len(self._held[:start].rstrip())
        released, self._held = self._held[:end], self._held[end:]
        self._at_start = self._at_start and not released
        return released

    def finish(self, splitter: ThinkingSplitter | HarmonySplitter) -> Parsed:
        """Return the calls, and what was held back without being one."""
        reading = self._reading
        if isinstance(splitter, HarmonySplitter):
            # Whether or not a tool was offered: a call is no text.
            return parse_channel_calls(splitter.calls, reading.tools, salt=reading.salt)
        if reading.syntax is None or not self._found:
            return Parsed(self._held)
        return parse_calls(self._held, reading.syntax, reading.tools, salt=reading.salt)
