"""What users write stays text: no control token is made of it.

A chat template mixes control tokens and message contents into one text, and the
tokenizer cannot tell whose ``<|im_end|>`` it reads. So control texts in contents
are hidden behind placeholders before the template runs, and what they were is
tokenized as plain text afterwards.
"""

from __future__ import annotations

import re
import secrets
from itertools import pairwise
from typing import TYPE_CHECKING

from localkit.chat.texts import change_message, change_texts, message_texts, texts_in
from localkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Any

    from localkit.chat.messages import Message
    from localkit.runtime.protocol import Session

# The private-use planes 15 and 16: no script, no letter case, no white space, so
# templates carry a placeholder through trimming, splitting and changing case.
_FIRST_PLACEHOLDER, _LAST_PLACEHOLDER = 0xF0000, 0x10FFFD
_LOOKS_LIKE_CONTROL = re.compile("<([|\uff5c]).*\\1>")


class Mask:
    """Placeholders of one render: one private-use character per hidden text."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Choose at random among the characters that ``texts`` do not use."""
        self._taken = {
            character
            for text in texts
            for character in text
            if ord(character) >= _FIRST_PLACEHOLDER
        }
        self._hidden: dict[str, str] = {}
        self._placeholders: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """Return the placeholder of ``text``."""
        if text not in self._placeholders:
            placeholder = self._draw()
            self._placeholders[text] = placeholder
            self._hidden[placeholder] = text
        return self._placeholders[text]

    def hides_in(self, text: str) -> bool:
        """Return whether ``text`` holds a placeholder."""
        return not self._hidden.keys().isdisjoint(text)

    def reveal(self, text: str) -> str:
        """Return ``text`` as it was meant."""
        return "".join(self._hidden.get(character, character) for character in text)

    def _draw(self) -> str:
        n_places = _LAST_PLACEHOLDER - _FIRST_PLACEHOLDER + 1
        start = secrets.randbelow(n_places)
        for step in range(n_places):
            drawn = chr(_FIRST_PLACEHOLDER + (start + step) % n_places)
            if drawn not in self._taken:
                self._taken.add(drawn)
                return drawn
        msg = "the messages use every private-use character there is"
        raise UsageError(msg, hint="remove those above U+F0000: they carry no text")


class ControlGuard:
    """The control texts of one model, and how to keep contents from making them.

    Control tokens are guarded in every message. A user-defined token, which the
    tokenizer makes out of any text that spells it, is guarded where it structures
    the conversation: when the template writes it or it looks like ``<|…|>``. Others
    (runs of spaces, ``<table>``) are vocabulary, and stay. Assistant messages may
    hold user-defined tokens: ``<think>`` is what the model itself wrote, and
    templates look for it.
    """

    def __init__(self, session: Session, template_source: str) -> None:
        """Sort the session's control tokens and compile what finds them."""
        self._session = session
        always, structural = set(), set()
        for text, token in session.control_tokens.items():
            if token not in session.tokenize(text, add_special=False):
                always.add(text)
            elif _structures(text, template_source):
                structural.add(text)
        always.discard("")
        marks = {
            mark for text in always | structural for mark in text if _sets_apart(mark)
        }
        self._guarded = _any_of(always | structural)
        self._overlapping = re.compile(f"(?={self._guarded.pattern})")
        self._structural = re.compile(f"(?={_any_of(structural).pattern})")
        self._marks = _any_of(marks)
        self._always = _any_of(always)
        self._structural_or_mark = re.compile(
            f"{_any_of(structural).pattern}|{self._marks.pattern}"
        )

    def may_matter(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> bool:
        """Return whether any content could be part of a control text."""
        texts = [text for message in messages for text in message_texts(message)]
        return any(
            self._marks.search(text) or self._guarded.search(text)
            for text in [*texts, *texts_in(tools)]
        )

    def hide_controls(self, message: Message, mask: Mask) -> Message:
        """Hide whole control texts: a template sees all the rest as it is."""
        pattern = self._always if message.role == "assistant" else self._guarded
        return change_message(message, lambda text: _hidden(pattern, text, mask))

    def hide_marks(self, message: Message, mask: Mask) -> Message:
        """Hide control texts and every ``<``, ``|`` and the like that they consist of.

        Whatever a template does to such a content, no control text comes of it.
        """
        return change_message(
            self.hide_controls(message, mask), lambda text: self._bare(text, mask)
        )

    def hide_controls_of_tools(
        self, tools: Sequence[Mapping[str, Any]], mask: Mask
    ) -> list[Mapping[str, Any]]:
        """Hide whole control texts in descriptions and schemas."""
        hidden: list[Mapping[str, Any]] = change_texts(
            list(tools), lambda text: _hidden(self._guarded, text, mask)
        )
        return hidden

    def hide_marks_of_tools(
        self, tools: Sequence[Mapping[str, Any]], mask: Mask
    ) -> list[Mapping[str, Any]]:
        """Hide what `hide_marks` hides, in descriptions and schemas."""
        bare: list[Mapping[str, Any]] = change_texts(
            self.hide_controls_of_tools(tools, mask),
            lambda text: self._bare(text, mask),
        )
        return bare

    def _bare(self, text: str, mask: Mask) -> str:
        return self._structural_or_mark.sub(
            lambda found: found[1] or mask.hide(found[2]), text
        )

    def controls_in(self, text: str) -> list[str]:
        """Return the control texts in ``text`` in order, overlapping ones too."""
        return [found[1] for found in self._overlapping.finditer(text)]

    def split(self, text: str) -> list[str]:
        """Return control texts and what stands between them, in turn."""
        return self._guarded.split(text)

    def tokenize_as_text(self, text: str) -> list[int]:
        """Return the tokens of ``text``, none of them guarded.

        llama.cpp makes user-defined tokens even when special tokens are not to be
        parsed (``tokenizer_st_partition``), so their texts are handed over in two.
        """
        starts = [found.start() for found in self._structural.finditer(text)]
        cuts = [0, *(start + 1 for start in starts), len(text)]
        return [
            token
            for start, end in pairwise(cuts)
            for token in self._session.tokenize(text[start:end], add_special=False)
        ]


def _hidden(pattern: re.Pattern[str], text: str, mask: Mask) -> str:
    return pattern.sub(lambda found: mask.hide(found[0]), text)


def _any_of(texts: Collection[str]) -> re.Pattern[str]:
    """Return a pattern of one group that finds the longest of ``texts`` first."""
    longest_first = sorted(texts, key=len, reverse=True)
    # Nothing matches (?!): a model may have no control tokens at all.
    return re.compile("(" + ("|".join(map(re.escape, longest_first)) or "(?!)") + ")")


def _structures(text: str, template_source: str) -> bool:
    """Return whether a user-defined token sets parts of a conversation apart."""
    # One character cannot be handed to the tokenizer in two, and white space
    # (SentencePiece writes it as U+2581) stands in every template.
    if len(text) < 2 or not text.strip(" \t\r\n\u2581"):
        return False
    return text in template_source or bool(_LOOKS_LIKE_CONTROL.fullmatch(text))


def _sets_apart(character: str) -> bool:
    """Return whether ``character`` is of the punctuation that sets controls apart."""
    return not (character.isalnum() or character.isspace() or character == "_")
