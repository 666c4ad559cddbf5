"""Which parts of a grammar may be matched greedily without losing a text.

llguidance splits text into lexemes by the longest match, as a lexer does; GBNF has
no lexer. A part is safe as a lexeme if, wherever a match of it or of another lexeme
could end, no character that the grammar expects next would make it longer. What is
not safe is opened: its parts become lexemes, down to single characters, which
nothing can lengthen. Long lexemes matter: a mask over single characters walks the
grammar for each byte of each token.
"""

from __future__ import annotations

from functools import reduce
from itertools import product
from operator import or_
from typing import TYPE_CHECKING

from localkit.errors import GrammarInvalid
from localkit.runtime.structured.automata import (
    Automaton,
    TooLarge,
    chain,
    either,
    repeated,
    then,
)
from localkit.runtime.structured.gbnf import (
    Chars,
    Choice,
    Node,
    Repeat,
    Rule,
    Sequence,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Deeper or larger ones are opened unread.
_MAX_DEPTH = 200
_MAX_STEPS = 100_000
_MAX_LEXEMES = 600


def find_lexemes(rules: Mapping[str, Node]) -> frozenset[Node]:
    """Return the nodes to be written as lexemes, for a grammar that calls itself.

    Raises:
        GrammarInvalid: so many different texts that comparing them takes too long.
    """
    return _Analysis(rules).solve()


def recursive_rules(rules: Mapping[str, Node]) -> frozenset[str]:
    """Return the names of rules that reach themselves, or reach such a rule."""
    calls = {name: set(_calls(node)) for name, node in rules.items()}
    # What is left after taking away, again and again, rules that call none left.
    left = set(rules)
    while regular := {name for name in left if not calls[name] & left}:
        left -= regular
    return frozenset(left)


def parts(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly inside ``node``; of a text, its two halves."""
    match node:
        case Sequence(items) | Choice(items):
            return items
        case Repeat(item):
            return (item,)
        case Text(text) if len(text) > 1:
            middle = len(text) // 2
            return Text(text[:middle]), Text(text[middle:])
    return ()


def _calls(node: Node) -> Iterator[str]:
    return (part.name for part in _all(node) if isinstance(part, Rule))


class _Analysis:
    """Sets of characters are bits, one for each class of characters used alike."""

    def __init__(self, rules: Mapping[str, Node]) -> None:
        self._rules = rules
        self._recursive = recursive_rules(rules)
        self._opened: set[Node] = set()
        self._classes: dict[Node, int] = {}
        self._number_classes()
        self._rule_starts = dict.fromkeys(rules, (False, 0))
        self._find_starts()
        self._rule_after: dict[str, int] = {}
        self._to_walk: dict[str, None] = {}
        self._walked: set[str] = set()
        self._automata: dict[Node, Automaton | None] = {}
        self._after: dict[Node, int] = {}
        self._beyond: dict[tuple[Node, Node], int] = {}
        self._n_steps = 0

    def solve(self) -> frozenset[Node]:
        while True:
            lexemes = self._lexemes()
            if len(lexemes) > _MAX_LEXEMES:
                msg = f"the grammar has {len(lexemes)} different texts and sets"
                hint = f'use at most {_MAX_LEXEMES}, or group them: ("a" | "b" | …)'
                raise GrammarInvalid(msg, hint=hint)
            unsafe = {node for node in lexemes if self._automaton(node) is None}
            known = lexemes - unsafe
            for node in filter(self._is_longer, known):
                if any(self._may_cut(other, node) for other in known):
                    unsafe.add(node)
            if not unsafe:
                return frozenset(lexemes)
            self._opened |= unsafe

    def _number_classes(self) -> None:
        leaves: dict[Node, tuple[tuple[int, int], ...]] = {}
        for root in self._rules.values():
            for node in _all(root):
                if isinstance(node, Chars):
                    leaves[node] = node.ranges
                elif isinstance(node, Text):
                    leaves |= {
                        Text(letter): ((ord(letter), ord(letter)),)
                        for letter in node.text
                    }
        edges = {low for ranges in leaves.values() for low, _ in ranges}
        edges |= {high + 1 for ranges in leaves.values() for _, high in ranges}
        number = {edge: place for place, edge in enumerate(sorted(edges))}
        for node, ranges in leaves.items():
            self._classes[node] = _union(
                (1 << number[high + 1]) - (1 << number[low]) for low, high in ranges
            )

    def _lexemes(self) -> set[Node]:
        """Return today's lexemes, and note what may follow each."""
        self._after = {}
        self._rule_after = dict.fromkeys(self._rules, 0)
        self._to_walk = {"root": None}
        self._walked = {"root"}
        while self._to_walk:
            name = self._to_walk.popitem()[0]
            self._walk(self._rules[name], self._rule_after[name])
        return set(self._after)

    def _is_lexeme(self, node: Node) -> bool:
        regular = not any(name in self._recursive for name in _calls(node))
        return regular and node not in self._opened and node != Text("")

    def _walk(self, node: Node, follow: int) -> None:
        """Note that ``follow`` may come after a node; rules are walked later."""
        if self._is_lexeme(node):
            self._after[node] = self._after.get(node, 0) | follow
            return
        if isinstance(node, Rule):
            known = self._rule_after[node.name]
            if follow | known != known or node.name not in self._walked:
                self._rule_after[node.name] = known | follow
                self._to_walk[node.name] = None
                self._walked.add(node.name)
            return
        within = parts(node)
        if isinstance(node, Repeat):
            follow |= self._starts(node.item)[1]
        for part in reversed(within):
            self._walk(part, follow)
            if not isinstance(node, Choice):
                empty, starts = self._starts(part)
                follow = starts | (follow if empty else 0)

    def _find_starts(self) -> None:
        callers: dict[str, set[str]] = {name: set() for name in self._rules}
        for name, node in self._rules.items():
            for called in _calls(node):
                callers[called].add(name)
        todo = dict.fromkeys(self._rules)
        while todo:
            name = todo.popitem()[0]
            found = self._starts(self._rules[name])
            if found != self._rule_starts[name]:
                self._rule_starts[name] = found
                todo |= dict.fromkeys(callers[name])

    def _starts(self, node: Node) -> tuple[bool, int]:
        """Return whether a node may be empty, and the characters it may begin with."""
        if isinstance(node, Rule):
            return self._rule_starts[node.name]
        if isinstance(node, Text):
            letter = Text(node.text[:1])
            return not node.text, self._classes.get(letter, 0)
        if isinstance(node, Chars):
            return False, self._classes[node]
        found = [self._starts(part) for part in parts(node)]
        if isinstance(node, Choice):
            return any(empty for empty, _ in found), _union(set_ for _, set_ in found)
        if isinstance(node, Repeat):
            return node.least == 0 or found[0][0], found[0][1]
        starts = 0
        for empty, some in found:
            starts |= some
            if not empty:
                return False, starts
        return True, starts

    def _may_cut(self, short: Node, long: Node) -> bool:
        """Return whether ``long`` could swallow what should follow ``short``."""
        if (short, long) not in self._beyond:
            self._beyond[short, long] = self._find_beyond(short, long)
        return bool(self._after[short] & self._beyond[short, long])

    def _find_beyond(self, short: Node, long: Node) -> int:
        """Return the characters by which ``long`` goes on after a text of ``short``.

        Walks both automata along the texts that they share.
        """
        a, b = self._automaton(short), self._automaton(long)
        if a is None or b is None:
            return 0
        todo = [(p, q) for p, q in product(a.first, b.first) if a.sets[p] & b.sets[q]]
        seen = set(todo)
        beyond = 0
        while todo:
            p, q = todo.pop()
            if p in a.last:
                beyond |= _union(b.sets[next_] for next_ in b.follow[q])
            for pair in product(a.follow[p], b.follow[q]):
                self._n_steps += 1
                if pair not in seen and a.sets[pair[0]] & b.sets[pair[1]]:
                    seen.add(pair)
                    todo.append(pair)
            if self._n_steps > _MAX_STEPS:
                return -1  # every character
        return beyond

    def _is_longer(self, node: Node) -> bool:
        automaton = self._automaton(node)
        return automaton is not None and any(automaton.follow)

    def _automaton(self, node: Node) -> Automaton | None:
        """Return a node's automaton; None if it is too large to be followed."""
        if node not in self._automata:
            try:
                self._automata[node] = self._build(node)
            except TooLarge:
                self._automata[node] = None
        return self._automata[node]

    def _build(self, node: Node, depth: int = 0) -> Automaton:
        if depth > _MAX_DEPTH:
            raise TooLarge
        if isinstance(node, Rule):
            if node not in self._automata:
                self._automata[node] = self._build(self._rules[node.name], depth + 1)
            if (known := self._automata[node]) is None:
                raise TooLarge
            return known
        if isinstance(node, Text):
            return chain([self._classes[Text(letter)] for letter in node.text])
        if isinstance(node, Chars):
            return chain([self._classes[node]])
        if isinstance(node, Repeat):
            # Counted ones as if without end: more may follow than does, never less.
            inner = self._build(node.item, depth + 1)
            return repeated(inner, nullable=node.least == 0)
        inside = [self._build(part, depth + 1) for part in parts(node)]
        join = either if isinstance(node, Choice) else then
        return reduce(join, inside) if inside else chain([])


def _union(sets: Iterable[int]) -> int:
    return reduce(or_, sets, 0)


def _all(node: Node) -> Iterator[Node]:
    yield node
    if not isinstance(node, Text):
        for part in parts(node):
            yield from _all(part)
