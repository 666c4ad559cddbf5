"""What is read of the results of another tool."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localkit.evals.running.result import SampleResult
    from localkit.evals.tasks.kinds import Reduction


@dataclass(frozen=True, slots=True)
class Foreign:
    """One answer, and what it answers."""

    result: SampleResult
    question: str
    """sha256 of what was asked and what is right."""


class Source(Protocol):
    """A file of results: of one model in one task."""

    tool: str
    model: str
    task: str
    reduction: Reduction
    k: int

    def answers(self) -> Iterator[Foreign]:
        """Yield the answers, each read when it is wanted.

        Raises:
            DatasetInvalid: the file does not hold what it must.
        """

    def remarks(self) -> list[str]:
        """Return what was left out, once all answers have been read."""


_WORDS: Mapping[str, float] = {
    **{"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0},
    **{"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0},
}
"""Letters and words for scores: inspect_ai's `value_to_float`."""


def as_number(value: Any) -> float | None:
    """Return a score as a number; None where it is none, or not finite."""
    if isinstance(value, str):
        if value in _WORDS or value.lower() in _WORDS:
            return _WORDS.get(value, _WORDS.get(value.lower()))
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, bool | int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return number if math.isfinite(number) else None
