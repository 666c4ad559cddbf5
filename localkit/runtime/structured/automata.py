"""Glushkov automata: one state for each character that a pattern writes."""

from __future__ import annotations

from dataclasses import dataclass

# Walking two automata together is quadratic in this.
_MAX_POSITIONS = 200


class TooLarge(Exception):
    """A pattern writes more characters than are followed."""


@dataclass(frozen=True, slots=True)
class Automaton:
    """States by number; each is entered by the characters of its set, as bits."""

    sets: tuple[int, ...]
    first: frozenset[int]
    last: frozenset[int]
    follow: tuple[frozenset[int], ...]
    nullable: bool

    def __post_init__(self) -> None:
        """Refuse one that is too large to be compared.

        Raises:
            TooLarge: more than 200 states.
        """
        if len(self.sets) > _MAX_POSITIONS:
            raise TooLarge


def chain(sets: list[int]) -> Automaton:
    """Return the automaton of one character after the other."""
    n = len(sets)
    return Automaton(
        sets=tuple(sets),
        first=frozenset(range(min(n, 1))),
        last=frozenset({n - 1} if n else ()),
        follow=tuple(frozenset({p + 1} if p + 1 < n else ()) for p in range(n)),
        nullable=not n,
    )


def either(a: Automaton, b: Automaton) -> Automaton:
    """Return the automaton of one or the other."""
    b = _moved(b, len(a.sets))
    return Automaton(
        a.sets + b.sets,
        a.first | b.first,
        a.last | b.last,
        a.follow + b.follow,
        a.nullable or b.nullable,
    )


def then(a: Automaton, b: Automaton) -> Automaton:
    """Return the automaton of one after the other."""
    b = _moved(b, len(a.sets))
    follow = tuple(
        after | b.first if p in a.last else after for p, after in enumerate(a.follow)
    )
    return Automaton(
        a.sets + b.sets,
        a.first | b.first if a.nullable else a.first,
        b.last | a.last if b.nullable else b.last,
        follow + b.follow,
        a.nullable and b.nullable,
    )


def repeated(a: Automaton, *, nullable: bool) -> Automaton:
    """Return the automaton of any number of times."""
    follow = tuple(
        after | a.first if p in a.last else after for p, after in enumerate(a.follow)
    )
    return Automaton(a.sets, a.first, a.last, follow, a.nullable or nullable)


def _moved(a: Automaton, by: int) -> Automaton:
    def up(states: frozenset[int]) -> frozenset[int]:
        return frozenset(state + by for state in states)

    follow = tuple(up(after) for after in a.follow)
    return Automaton(a.sets, up(a.first), up(a.last), follow, a.nullable)
