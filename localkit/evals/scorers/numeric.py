"""Whether the number in the answer is the right one."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from localkit.errors import DatasetInvalid
from localkit.evals.scorers.numbers import Decimals, numbers_in
from localkit.evals.scorers.scoring import definition_of, no_target, scored, unscored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample


@dataclass(frozen=True, slots=True)
class Numeric:
    """1 when the last number of the answer is the target's.

    The rule of lm-evaluation-harness's `flexible-extract` for GSM8K (the last
    number of the answer), with more ways to write one; see `numbers_in`. A target
    may be a whole solution: its last number counts. Numbers are compared exactly
    unless a tolerance is given: 0.5, 1/2 and 50e-2 are equal, 0.333 and 1/3 are not.
    """

    name: str = "numeric"
    select: Literal["first", "last"] = "last"
    """Which number of the answer counts."""
    abs_tol: float = 0.0
    """Largest difference that is right."""
    rel_tol: float = 0.0
    """The same, as a share of the target."""
    decimals: Decimals = "."
    """What stands before the decimals, in answer and target."""

    def __post_init__(self) -> None:
        """Refuse a tolerance that is no number from 0 on."""
        for option, value in (("abs_tol", self.abs_tol), ("rel_tol", self.rel_tol)):
            if not 0 <= value < float("inf"):
                msg = f"{option} is {value}"
                raise DatasetInvalid(msg, hint="give a number from 0 on")

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "numeric")

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return 1 or 0; unscored when the target holds no number."""
        del surroundings
        missing = no_target(sample)
        if missing is not None:
            return missing
        read = [self._number(target, "last") for target in sample.target]
        wanted = [one[1] for one in read if one is not None]
        if not wanted:
            return unscored("no number in the target")
        said = self._number(answer.text, self.select)
        if said is None:
            return scored(answer, 0.0, why="no number in the answer")
        text, value = said
        right = any(self._near(value, target) for target in wanted)
        return scored(answer, float(right), text)

    def _number(
        self, text: str, select: Literal["first", "last"]
    ) -> tuple[str, Fraction] | None:
        found = numbers_in(text, decimals=self.decimals)
        return found[0 if select == "first" else -1] if found else None

    def _near(self, value: Fraction, target: Fraction) -> bool:
        allowed = max(Fraction(self.abs_tol), Fraction(self.rel_tol) * abs(target))
        return abs(value - target) <= allowed
