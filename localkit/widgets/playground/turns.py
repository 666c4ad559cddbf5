"""A conversation that branches: turns, each with its answer.

A turn that is asked again, or edited, gets a sibling; the conversation goes on from
the one that is chosen. A turn's digest covers its parent's, so the same turns have
the same name wherever they stand.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from localkit.chat.messages import Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localkit.chat.result import Result
    from localkit.widgets.playground.draft import Setup

Phase = Literal["waiting", "loading", "writing", "done", "stopped", "failed"]
_ENDED = {"done", "stopped", "failed"}


@dataclass(eq=False)
class Answer:
    """What a model says in one turn, as far as it has come."""

    phase: Phase = "waiting"
    text: str = ""
    thinking: str = ""
    note: str = ""
    """What a reader must know beside the text: cut, interrupted, why it failed."""
    finish_reason: str = ""
    counts: str = ""
    """Tokens of prompt and answer: the same for the same answer."""
    usage: str = ""
    """The same with speeds."""
    candidate: dict[str, Any] = field(default_factory=dict)
    """Who answered, as JSON, for ratings and votes."""
    result: Result | None = None
    """None while it is written, and for one that was read from a version."""
    rating: int = 0
    """Id of its rating; 0: none."""
    score: int = 0
    comment: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.phase in _ENDED


@dataclass(eq=False)
class Turn:
    """What the user said in one column, and what was answered."""

    id: str
    said: str
    setup: Setup
    """Of the column when it was asked."""
    opening: tuple[Message, ...] = ()
    """What stands before a first turn."""
    variables: Mapping[str, str] = field(default_factory=dict)
    parent: Turn | None = None
    answer: Answer = field(default_factory=Answer)
    children: list[Turn] = field(default_factory=list)
    chosen: int = -1
    """Which child the conversation goes on with."""

    @property
    def path(self) -> list[Turn]:
        """The turns from the first to this one."""
        return [*(self.parent.path if self.parent else ()), self]

    @property
    def depth(self) -> int:
        """1 for a first turn."""
        return len(self.path)

    @property
    def opened(self) -> tuple[Message, ...]:
        """What stands before the conversation."""
        return self.path[0].opening

    def messages(self) -> list[Message]:
        """Return the conversation up to what the user says here."""
        messages = list(self.opened)
        for turn in self.path[:-1]:
            messages.append(Message("user", turn.said))
            messages.append(Message("assistant", turn.answer.text))
        return [*messages, Message("user", self.said)]

    @property
    def digest(self) -> str:
        """sha256 over the parent's digest, or the opening, and what was said here."""
        if self.parent is not None:
            before: object = self.parent.digest
        else:
            before = [[one.role, one.content] for one in self.opening]
        text = json.dumps([before, self.said, self.answer.text])
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class Branches:
    """The turns of one column."""

    def __init__(self) -> None:
        """Begin without any."""
        self._roots: list[Turn] = []
        self._chosen = -1

    def add(self, turn: Turn) -> None:
        """Put a turn beside its siblings and choose it."""
        siblings = self.siblings(turn)
        siblings.append(turn)
        self._choose(turn.parent, len(siblings) - 1)
        # What leads to it is chosen as well.
        for one in turn.path[:-1]:
            self._choose(one.parent, self.siblings(one).index(one))

    def siblings(self, turn: Turn) -> list[Turn]:
        """Return the turns that stand in the place of ``turn``, itself included."""
        return self._roots if turn.parent is None else turn.parent.children

    def step(self, turn: Turn, by: int) -> None:
        """Choose the sibling ``by`` places on, as far as there are any."""
        siblings = self.siblings(turn)
        index = siblings.index(turn) + by
        self._choose(turn.parent, max(0, min(len(siblings) - 1, index)))

    @property
    def path(self) -> list[Turn]:
        """The conversation that is chosen, from its first turn."""
        path: list[Turn] = []
        turns, chosen = self._roots, self._chosen
        while turns and chosen >= 0:
            path.append(turns[chosen])
            turns, chosen = path[-1].children, path[-1].chosen
        return path

    @property
    def last(self) -> Turn | None:
        """The end of the chosen conversation."""
        path = self.path
        return path[-1] if path else None

    def __iter__(self) -> Iterator[Turn]:
        """Yield every turn, parents before their children."""
        waiting = list(self._roots)
        while waiting:
            turn = waiting.pop(0)
            yield turn
            waiting += turn.children

    def _choose(self, parent: Turn | None, index: int) -> None:
        if parent is None:
            self._chosen = index
        else:
            parent.chosen = index


@dataclass(eq=False)
class Column:
    """A model and how it is asked, with what was said to it."""

    id: str
    setup: Setup
    quant: str = ""
    branches: Branches = field(default_factory=Branches)

    @property
    def words(self) -> str:
        """Who answers here, for a reader."""
        return " · ".join(filter(None, [self.setup.ref, self.setup.words()]))
