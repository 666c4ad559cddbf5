"""The channels of gpt-oss: thinking, answer and calls in one stream of messages.

A message is a header, ``<|message|>``, its body and an end mark. The header names
the channel, and the function that is called: ``<|channel|>analysis``,
``<|channel|>final``, `` to=functions.f<|channel|>commentary json``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from localkit.chat.thinking import Delta, undecided

MARKS = (
    "<|start|>",
    "<|channel|>",
    "<|constrain|>",
    "<|message|>",
    "<|end|>",
    "<|call|>",
    "<|return|>",
)
"""Control tokens that set the parts apart."""
_LAST = ("<|end|>", "<|call|>", "<|return|>")
# A message whose end mark is missing ends where the next one begins.
_ENDS = (*_LAST, "<|start|>", "<|channel|>")
_RECIPIENT = re.compile(r"to=functions\.([^\s<]+)")
_HEADER_STARTS = ("<|start|>", "<|channel|>", " to=", "to=")


class ChannelCall(NamedTuple):
    """A call as the model wrote it."""

    name: str
    arguments: str


class HarmonySplitter:
    """Split an answer of gpt-oss; the pieces may be cut anywhere."""

    def __init__(self) -> None:
        """Start where the prompt ends: behind ``<|start|>assistant``."""
        self._held = ""
        self._in_header = True
        self._channel = ""
        self._called: str | None = None
        self._arguments = ""
        self._said: set[str] = set()
        self._parting = ""
        self.calls: list[ChannelCall] = []
        """Calls so far, in order."""

    @property
    def is_thinking(self) -> bool:
        """Whether the text ended, or is so far, inside thinking."""
        return self._in_header or self._channel == "analysis"

    def add(self, text: str) -> Delta:
        """Return what ``text`` makes certain."""
        self._held += text
        thinking, answer = "", ""
        while True:
            before = (self._in_header, self._held)
            if before[0]:
                self._read_header()
            else:
                new = self._sorted(self._read_body())
                thinking += new.thinking
                answer += new.text
                if self._in_header:
                    self._keep_call()
            if (self._in_header, self._held) == before:
                return Delta(thinking, answer)

    def finish(self) -> Delta:
        """Return what was held back, now that no more comes."""
        held, self._held = self._held, ""
        if self._in_header:
            return Delta()
        last = self._sorted(held.rstrip() if self._channel == "analysis" else held)
        self._keep_call()
        return last

    def _read_header(self) -> None:
        header, mark, body = self._held.partition("<|message|>")
        if not mark:
            # A model that answers without any channel: its text is the answer.
            if self._held and not _may_begin(self._held, _HEADER_STARTS):
                self._in_header, self._channel = False, "final"
            return
        self._held, self._in_header = body, False
        recipient = _RECIPIENT.search(header)
        self._called = recipient[1] if recipient else None
        self._channel = (header.rpartition("<|channel|>")[2].split() or [""])[0]
        self._parting = "\n\n" if self._kind in self._said else ""

    def _read_body(self) -> str:
        """Take what is certain to belong to the message; see its end."""
        found = [(at, end) for end in _ENDS if (at := self._held.find(end)) >= 0]
        at, end = min(
            found, default=(len(self._held) - undecided(self._held, _ENDS), "")
        )
        body, self._held = self._held[:at], self._held[at:]
        if end:
            self._in_header = True
            if end in _LAST:
                self._held = self._held[len(end) :]
            if self._channel == "analysis":
                body = body.rstrip()
        return body

    @property
    def _kind(self) -> str:
        return "thinking" if self._channel == "analysis" else "text"

    def _sorted(self, body: str) -> Delta:
        if self._called is not None:
            self._arguments += body
            return Delta()
        if body:
            body, self._parting = self._parting + body, ""
            self._said.add(self._kind)
        return Delta(thinking=body) if self._kind == "thinking" else Delta(text=body)

    def _keep_call(self) -> None:
        if self._called is not None:
            self.calls.append(ChannelCall(self._called, self._arguments))
            self._called, self._arguments = None, ""


def _may_begin(text: str, starts: tuple[str, ...]) -> bool:
    return any(text.startswith(start) or start.startswith(text) for start in starts)
