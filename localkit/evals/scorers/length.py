"""Whether the answer is as long as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from localkit.errors import DatasetInvalid
from localkit.evals.scorers.scoring import definition_of, scored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample


@dataclass(frozen=True, slots=True)
class Length:
    """1 when the answer has at least ``at_least`` and at most ``at_most`` units.

    Words are what whitespace parts; characters are code points of the answer
    without whitespace at its ends.
    """

    name: str = "length"
    unit: Literal["words", "characters", "lines"] = "words"
    at_least: int = 0
    at_most: int | None = None

    def __post_init__(self) -> None:
        """Refuse bounds that no answer can meet."""
        if self.at_most is not None and self.at_most < self.at_least:
            msg = f"at_most is {self.at_most} and at_least is {self.at_least}"
            raise DatasetInvalid(msg, hint="give at_least <= at_most")

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "length")

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return 1 or 0."""
        del sample, surroundings
        text = answer.text.strip()
        match self.unit:
            case "words":
                count = len(text.split())
            case "characters":
                count = len(text)
            case "lines":
                count = sum(bool(line.strip()) for line in text.splitlines())
        most = float("inf") if self.at_most is None else self.at_most
        fits = self.at_least <= count <= most
        return scored(answer, float(fits), why=f"{count} {self.unit}")
