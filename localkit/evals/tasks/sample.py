"""Sample: one thing to ask, and what is known about the right answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Sample:
    """One question of a task."""

    id: str
    prompt: str
    """What is asked: the form of the task, filled in."""
    choices: tuple[str, ...] = ()
    """Texts whose log-likelihoods are compared; none where an answer is written."""
    gold: int = -1
    """Index of the right choice; -1 where there are none."""
    target: tuple[str, ...] = ()
    """Right answers, any of which will do."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The row it was made of, for scorers that need more: tests, a schema, tools."""
    group: str = ""
    """Samples of one group (a document, a template) are not independent."""
