"""GBNF written as Lark, the notation that llguidance compiles.

llguidance's own converter makes a lexeme of every rule that does not call itself.
Of llama.cpp's eight example grammars, arithmetic's own equations are then refused;
here `lexemes` decides.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localkit.runtime.structured import gbnf
from localkit.runtime.structured.gbnf import (
    Chars,
    Choice,
    Node,
    Repeat,
    Rule,
    Text,
)
from localkit.runtime.structured.lexemes import find_lexemes, parts, recursive_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def to_lark(text: str) -> str:
    """Return a GBNF grammar as Lark; `root` becomes `start`.

    Raises:
        GrammarInvalid: names the line.
    """
    return _Writer(gbnf.read(text)).write()


class _Writer:
    """Writes the rules that are needed, each once."""

    def __init__(self, rules: Mapping[str, Node]) -> None:
        self._rules = rules
        self._numbers = {name: number for number, name in enumerate(rules)}
        regular = "root" not in recursive_rules(rules)
        # All of it one lexeme: exact, and the fastest.
        self._lexemes = {Rule("root")} if regular else find_lexemes(rules)
        self._terminals: dict[Node, str] = {}
        self._written: dict[str, str] = {}
        # A list in place of recursion: a chain of rules may be long.
        self._to_write: list[tuple[str, Node, Callable[[Node], str]]] = []

    def write(self) -> str:
        self._written["start"] = self._inside(Rule("root"))
        while self._to_write:
            name, node, form = self._to_write.pop()
            if name not in self._written:
                self._written[name] = form(node)
        return "".join(f"{name}: {body}\n" for name, body in self._written.items())

    def _inside(self, node: Node) -> str:
        """Return a node as it stands in a rule."""
        if node in self._lexemes:
            return self._terminal(node)
        if isinstance(node, Rule):
            name = f"rule_{self._numbers[node.name]}"
            self._to_write.append((name, self._rules[node.name], self._inside))
            return name
        return _joined(node, [self._inside(part) for part in parts(node)])

    def _terminal(self, node: Node) -> str:
        """Return the name of a node's lexeme."""
        if node not in self._terminals:
            name = self._terminals[node] = f"LEXEME_{len(self._terminals)}"
            self._to_write.append((name, node, self._in_lexeme))
        return self._terminals[node]

    def _in_lexeme(self, node: Node) -> str:
        """Return a node as it stands in a lexeme."""
        if isinstance(node, Rule):
            name = f"PART_{self._numbers[node.name]}"
            self._to_write.append((name, self._rules[node.name], self._in_lexeme))
            return name
        if isinstance(node, Text):
            return _text(node.text)
        return _joined(node, [self._in_lexeme(part) for part in parts(node)])


def _joined(node: Node, inside: list[str]) -> str:
    match node:
        case Chars(ranges):
            return _set(ranges)
        case Choice():
            return f"({' | '.join(inside)})"
        case Repeat(_, least, most):
            marks = {(0, None): "*", (1, None): "+", (0, 1): "?"}
            counted = f"{{{least},{'' if most is None else most}}}"
            return f"({inside[0]}){marks.get((least, most), counted)}"
        case Text(text) if not inside:
            return _text(text)
    return " ".join(inside) if inside else _text("")


def _text(text: str) -> str:
    return json.dumps(text)


def _set(ranges: gbnf.Ranges) -> str:
    return "/[" + "".join(rf"\x{{{a:X}}}-\x{{{b:X}}}" for a, b in ranges) + "]/"
