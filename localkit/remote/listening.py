"""Puts a streamed answer together, with the moments at which its pieces came."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from localkit.remote.values import Ending, RemoteAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENDINGS: dict[str, Ending] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "eos": "stop",
}
_MAX_CALLS = 128


@dataclass(slots=True)
class Listening:
    """An answer that is coming in."""

    notes: list[str]
    began: float = field(default_factory=time.perf_counter)
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    logprobs: list[tuple[str, float]] = field(default_factory=list)
    n_prompt: int = 0
    n_generated: int = 0
    _moments: list[float] = field(default_factory=list)
    _calls: dict[int, dict[str, str]] = field(default_factory=dict)
    _ending: str | None = None

    def heard(self, *, text: str | None = None, thinking: str | None = None) -> None:
        """Take a piece of the answer."""
        if text or thinking:
            self._moments.append(time.perf_counter())
        if text:
            self.text.append(text)
        if thinking:
            self.thinking.append(thinking)

    def called(
        self, index: int, *, name: str = "", arguments: str = "", id: str = ""
    ) -> None:
        """Take a piece of a tool call."""
        if len(self._calls) >= _MAX_CALLS and index not in self._calls:
            return
        if not self._calls:
            self._moments.append(time.perf_counter())
        call = self._calls.setdefault(index, {"name": "", "arguments": "", "id": ""})
        call["name"] += name
        call["arguments"] += arguments
        call["id"] = call["id"] or id

    def ended(self, reason: str | None) -> None:
        """Note how it ended, in the server's word."""
        if reason:
            self._ending = reason

    @property
    def has_ended(self) -> bool:
        """Whether the server said how the answer ended."""
        return self._ending is not None

    def answer(self) -> RemoteAnswer:
        """Return the whole answer."""
        now = time.perf_counter()
        moments = self._moments or [now]
        ending = _ENDINGS.get(self._ending or "", "error")
        if self._ending is None:
            self.notes.append("the server did not say how the answer ended")
        elif ending == "error":
            self.notes.append(f"the server ended the answer: {self._ending[:80]}")
        if self._calls and ending == "stop":  # Ollama's word for it
            ending = "tool_calls"
        if not self.n_generated and self._moments:
            self.notes.append("the server counted no tokens")
        return RemoteAnswer(
            text="".join(self.text),
            finish_reason=ending,
            thinking="".join(self.thinking),
            tool_calls=tuple(self._call(call) for call in self._calls.values()),
            n_prompt=self.n_prompt,
            n_generated=self.n_generated,
            ttft_s=moments[0] - self.began,
            total_s=now - self.began,
            gaps_s=tuple(after - before for before, after in pairwise(moments)),
            logprobs=tuple(self.logprobs),
            notes=tuple(self.notes),
        )

    @staticmethod
    def _call(call: dict[str, str]) -> Mapping[str, Any]:
        function = {"name": call["name"], "arguments": call["arguments"]}
        return {"id": call["id"], "type": "function", "function": function}
