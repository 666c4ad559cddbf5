"""Thinking and answer told apart, as the text comes.

The families and their tags are those of the templates that llama.cpp ships for its
own tests (``models/templates``). Thinking stands before the answer; a tag further
on is text, as it is when somebody asks what the tag means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection


class Delta(NamedTuple):
    """New text, told apart."""

    thinking: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ThinkingStyle:
    """How models of one family set their thinking apart."""

    name: str
    opens: str
    closes: str
    answer_opens: tuple[str, ...] = ()
    """What may stand before the answer, and is no part of it."""
    answer_closes: tuple[str, ...] = ()
    mark: str = ""
    """What a template of the family holds; the closing tag if empty."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Return every text that sets parts apart."""
        return (self.opens, self.closes, *self.answer_opens, *self.answer_closes)

    def is_open_at_end(self, prompt: str) -> bool:
        """Return whether ``prompt`` ends inside thinking."""
        return prompt.rstrip().endswith(self.opens)


_TAGS = ThinkingStyle("think", "<think>", "</think>")
# Those that share a tag with another come before it.
_STYLES = (
    ThinkingStyle(
        "granite-3.3",
        "<think>",
        "</think>",
        answer_opens=("<response>",),
        answer_closes=("</response>",),
        mark="<response></response>",
    ),
    ThinkingStyle(
        "cohere",
        "<|START_THINKING|>",
        "<|END_THINKING|>",
        answer_opens=("<|START_RESPONSE|>", "<|START_TEXT|>"),
        answer_closes=("<|END_RESPONSE|>", "<|END_TEXT|>"),
    ),
    ThinkingStyle(
        "apriel",
        "Here are my reasoning steps:",
        "[BEGIN FINAL RESPONSE]",
        answer_closes=("[END FINAL RESPONSE]",),
    ),
    ThinkingStyle("granite-3.2", "Here is my thought process:", "Here is my response:"),
    ThinkingStyle("mistral", "[THINK]", "[/THINK]"),
    ThinkingStyle("seed-oss", "<seed:think>", "</seed:think>"),
    ThinkingStyle("minimax-m3", "<mm:think>", "</mm:think>"),
    ThinkingStyle("apertus", "<|inner_prefix|>", "<|inner_suffix|>"),
    ThinkingStyle("gemma-4", "<|channel>thought", "<channel|>"),
    ThinkingStyle("exaone", "<thought>", "</thought>"),
    _TAGS,
)


def detect_thinking(
    template: str, control_tokens: Collection[str]
) -> ThinkingStyle | None:
    """Return the family that a template's text shows; None if it never thinks.

    Some templates of DeepSeek-R1 and Qwen3 leave the tags to the model: then they
    are words of its vocabulary.
    """
    for style in _STYLES:
        if (style.mark or style.closes) in template:
            return style
    if _TAGS.opens in template or {_TAGS.opens, _TAGS.closes} <= set(control_tokens):
        return _TAGS
    return None


_Phase = Literal["before", "opened", "thinking", "between", "answer", "after"]


class ThinkingSplitter:
    """Split text that comes in pieces; the pieces may be cut anywhere."""

    def __init__(self, style: ThinkingStyle | None, *, inside: bool = False) -> None:
        """Start before the answer, or ``inside`` thinking if the prompt opened it."""
        self._style = style
        self._held = ""
        self._phase: _Phase = "opened" if inside else "before"
        if style is None:
            self._phase = "answer"

    @property
    def is_thinking(self) -> bool:
        """Whether the text ended, or is so far, inside thinking."""
        return self._phase in ("opened", "thinking")

    def add(self, text: str) -> Delta:
        """Return what ``text`` makes certain."""
        if self._style is None:
            return Delta(text=text)
        self._held += text
        thinking, answer = "", ""
        while True:
            before = (self._phase, self._held)
            if self._phase == "thinking":
                thinking += self._until(self._style.closes, "between")
            elif self._phase == "answer":
                answer += self._until_any(self._style.answer_closes)
            elif self._phase == "after":
                self._held = ""
            else:
                self._pass_tag(self._style)
            if (self._phase, self._held) == before:
                return Delta(thinking, answer)

    def finish(self) -> Delta:
        """Return what was held back, now that no more comes."""
        held, self._held = self._held, ""
        if self._phase in ("opened", "thinking"):
            # What may have begun the end tag is a thought that was cut short.
            return Delta(
                thinking=held.strip() if self._phase == "opened" else held.rstrip()
            )
        if self._phase == "between":
            return Delta(text=held.lstrip())
        return Delta(text=held)

    def _pass_tag(self, style: ThinkingStyle) -> None:
        """Go past the tag that may stand here, or on to the text if none does."""
        after: dict[str, _Phase] = {}
        if self._phase in ("before", "opened"):
            # A model repeats the tag that its prompt ended with at times.
            after[style.opens] = "opened"
        if self._phase != "opened":
            after |= dict.fromkeys(style.answer_opens, "between")
        text = self._held.lstrip()
        for tag, phase in after.items():
            if text.startswith(tag):
                self._held, self._phase = text[len(tag) :], phase
                return
        if not text or any(tag.startswith(text) for tag in after):
            return
        if self._phase != "before":
            self._held = text
        self._phase = "thinking" if self._phase == "opened" else "answer"

    def _until(self, tag: str, then: _Phase) -> str:
        """Return text before ``tag``, less white space in front of it."""
        at = self._held.find(tag)
        if at >= 0:
            found, self._held = self._held[:at].rstrip(), self._held[at + len(tag) :]
            self._phase = then
            return found
        return self._release(undecided(self._held, (tag,)))

    def _until_any(self, tags: tuple[str, ...]) -> str:
        found = [(at, tag) for tag in tags if (at := self._held.find(tag)) >= 0]
        if found:
            return self._until(min(found)[1], "after")
        return self._release(undecided(self._held, tags) if tags else 0)

    def _release(self, n_held: int) -> str:
        end = len(self._held) - n_held
        text, self._held = self._held[:end], self._held[end:]
        return text


def undecided(text: str, tags: Collection[str]) -> int:
    """Return how many last characters may begin a tag, white space before it too."""
    longest = max(map(len, tags), default=1) - 1
    n_held = 0
    for length in range(min(longest, len(text)), 0, -1):
        if any(tag.startswith(text[-length:]) for tag in tags):
            n_held = length
            break
    before = text[: len(text) - n_held]
    return n_held + len(before) - len(before.rstrip())
