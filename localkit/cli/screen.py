"""The seam between a command and where its output goes.

A command computes values and hands them to a `Screen`: the terminal's prints
them, the notebook's displays them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from localkit.chat.result import Result
    from localkit.evals.comparing.comparison import Comparison
    from localkit.events import OnProgress
    from localkit.widgets.panel import Panel


@dataclass(frozen=True, slots=True)
class Table:
    """Cells under headers."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str
    """One of ``<``, ``>``, ``^`` per column."""
    empty: str
    """What to say when there are no rows: what to do next."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What a notebook keeps beside it, under ``localkit`` in the output's metadata."""


class AnswerView(Protocol):
    """One answer on its way to the reader."""

    def write(self, text: str) -> None:
        """Take the next piece of text."""

    def finish(self, result: Result) -> None:
        """Show the whole answer and how it ended."""


class Screen(Protocol):
    """Where a command's output goes."""

    @property
    def can_assign(self) -> bool:
        """Whether there is a namespace that `assign` writes to."""

    def say(self, text: str) -> None:
        """Show a line of text."""

    def table(self, table: Table) -> None:
        """Show a table, or its ``empty`` line."""

    def progress(self) -> AbstractContextManager[OnProgress]:
        """Show how far the steps reported inside the block have come."""

    def answer(self) -> AnswerView:
        """Show one answer while it is written."""

    def comparison(self, comparison: Comparison) -> None:
        """Show a comparison: verdict, table and, where possible, plots."""

    def panel(self, panel: Panel) -> None:
        """Show a widget; where there can be none, its record."""

    def assign(self, name: str, value: object) -> None:
        """Put ``value`` under ``name`` into the namespace."""
