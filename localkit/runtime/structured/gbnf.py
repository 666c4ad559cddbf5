"""GBNF, llama.cpp's notation for grammars, read into rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from localkit.errors import GrammarInvalid
from localkit.runtime.structured import limits

if TYPE_CHECKING:
    from collections.abc import Mapping

LAST_CHARACTER = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
_MAX_NESTING = 60

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Characters to be written as they are."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set, as sorted ranges of code points."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Rule:
    """The text of another rule."""

    name: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Several times."""

    item: Node
    least: int
    most: int | None


Node = Text | Chars | Rule | Sequence | Choice | Repeat

_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]"}
_HEX = {"x": 2, "u": 4, "U": 8}
_TIMES = re.compile(r"\{\s*(\d{0,9})\s*(,?)\s*(\d{0,9})\s*\}")


def read(text: str) -> dict[str, Node]:
    """Return the rules of a GBNF grammar by name.

    Raises:
        GrammarInvalid: names the line.
    """
    limits.check_size("grammar", text, limits.MAX_GBNF_BYTES)
    limits.check_rules(text.count("::="), text)
    reader = _Reader(text)
    rules: dict[str, Node] = {}
    reader.skip(lines=True)
    while not reader.at_end():
        name = reader.take_name()
        if not name:
            reader.fail("a rule's name is missing")
        reader.skip()
        if not reader.take("::="):
            reader.fail(f"after '{name}' '::=' is missing")
        if name in rules:
            reader.fail(f"rule '{name}' is there twice")
        reader.skip(lines=True)
        rules[name] = reader.read_choice(nesting=0)
        reader.skip()
        if not reader.at_end() and not reader.take("\n"):
            reader.fail(f"{reader.rest!r} is not understood")
        reader.skip(lines=True)
    reader.check_names(rules)
    return rules


class _Reader:
    """Reads from a text, at a place."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n").replace("\r", "\n")
        self._at = 0
        self._used: dict[str, int] = {}

    def at_end(self) -> bool:
        return self._at >= len(self._text)

    @property
    def rest(self) -> str:
        return self._text[self._at : self._at + 20].partition("\n")[0]

    def fail(self, what: str) -> NoReturn:
        line = self._text.count("\n", 0, self._at) + 1
        msg = f"line {line} of the grammar: {what}"
        raise GrammarInvalid(msg, hint="mend the GBNF; nothing was generated")

    def check_names(self, rules: Mapping[str, Node]) -> None:
        for name, place in self._used.items():
            if name not in rules:
                self._at = place
                self.fail(f"rule '{name}' is not defined")
        if "root" not in rules:
            self.fail("there is no rule 'root'")

    def take(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def take_name(self) -> str:
        return self._match(r"[A-Za-z0-9-]+")

    def skip(self, *, lines: bool = False) -> None:
        self._match(r"(?:\s|#[^\n]*)*+" if lines else r"(?:[^\S\n]|#[^\n]*)*+")

    def _match(self, pattern: str) -> str:
        found = re.compile(pattern).match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def read_choice(self, *, nesting: int) -> Node:
        if nesting > _MAX_NESTING:
            self.fail(f"groups are nested deeper than {_MAX_NESTING}")
        items = [self._read_sequence(nesting)]
        while True:
            # As llama.cpp: at the top level a rule ends with its line.
            self.skip(lines=nesting > 0 or self._bar_follows())
            if not self.take("|"):
                return items[0] if len(items) == 1 else Choice(tuple(items))
            self.skip(lines=True)
            items.append(self._read_sequence(nesting))

    def _bar_follows(self) -> bool:
        return re.compile(r"(?:\s|#[^\n]*)*+\|").match(self._text, self._at) is not None

    def _read_sequence(self, nesting: int) -> Node:
        items: list[Node] = []
        while (item := self._read_item(nesting)) is not None:
            self.skip(lines=nesting > 0)
            if (times := self._read_times()) is not None:
                item = Repeat(item, *times)
                self.skip(lines=nesting > 0)
            items.append(item)
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _read_item(self, nesting: int) -> Node | None:
        if self.take('"'):
            text = ""
            while not self.take('"'):
                text += chr(self._read_character("text"))
            return Text(text)
        if self.take("["):
            return self._read_set()
        if self.take("("):
            self.skip(lines=True)
            inner = self.read_choice(nesting=nesting + 1)
            self.skip(lines=True)
            if not self.take(")"):
                self.fail("a group is not closed")
            return inner
        if self.take("."):
            return Chars(_without_surrogates([(0, LAST_CHARACTER)]))
        if self.rest.startswith(("<", "!")):
            self.fail(f"{self.rest!r} names a token; only text can be asked for")
        name = self.take_name()
        if not name:
            return None
        self._used.setdefault(name, self._at)
        return Rule(name)

    def _read_times(self) -> tuple[int, int | None] | None:
        marks: dict[str, tuple[int, int | None]]
        marks = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        for mark, times in marks.items():
            if self.take(mark):
                return times
        if not self.rest.startswith("{"):
            return None
        found = _TIMES.match(self._text, self._at)
        if found is None or not (found[1] or found[3]):
            self.fail(f"{self.rest!r} is no number of repetitions")
        self._at = found.end()
        least = int(found[1] or 0)
        most = int(found[3]) if found[3] else None if found[2] else least
        if most is not None and most < least:
            self.fail(f"{found[0]} ends before it begins")
        return least, most

    def _read_set(self) -> Node:
        negated = self.take("^")
        ranges: list[tuple[int, int]] = []
        while not self.take("]"):
            low = high = self._read_character("set")
            if self._text[self._at : self._at + 2] not in ("-]", "") and self.take("-"):
                high = self._read_character("set")
            if high < low:
                self.fail(f"the range {chr(low)}-{chr(high)} ends before it begins")
            ranges.append((low, high))
        if not ranges:
            self.fail("a set is empty")
        ranges = _complement(ranges) if negated else ranges
        return Chars(_without_surrogates(ranges))

    def _read_character(self, what: str) -> int:
        if self.at_end() or self.rest == "":
            self.fail(f"a {what} is not closed")
        character = self._text[self._at]
        self._at += 1
        if character != "\\":
            return ord(character)
        mark = self._text[self._at : self._at + 1]
        self._at += 1
        if mark in _ESCAPES and mark:
            return ord(_ESCAPES[mark])
        digits = self._text[self._at : self._at + _HEX.get(mark, 0)]
        self._at += len(digits)
        if re.fullmatch(r"[0-9a-fA-F]+", digits) and len(digits) == _HEX[mark]:
            code = int(digits, 16)
            if code <= LAST_CHARACTER and not _SURROGATES[0] <= code <= _SURROGATES[1]:
                return code
        self.fail(f"\\{mark}{digits} is no character")


def _complement(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    gaps, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            gaps.append((start, low - 1))
        start = max(start, high + 1)
    if start <= LAST_CHARACTER:
        gaps.append((start, LAST_CHARACTER))
    return gaps


def _without_surrogates(ranges: list[tuple[int, int]]) -> Ranges:
    """Return the ranges sorted, joined, and without what UTF-8 cannot hold."""
    first, last = _SURROGATES
    return tuple(_complement([*_complement(ranges), (first, last)]))
