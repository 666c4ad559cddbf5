"""Whether the answer follows instructions that a program can check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localkit.evals.scorers.checks import CheckInvalid, passes
from localkit.evals.scorers.json_text import read_json
from localkit.evals.scorers.scoring import definition_of, scored, unscored

if TYPE_CHECKING:
    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample


@dataclass(frozen=True, slots=True)
class Instructions:
    """1 when the answer passes all checks of its sample.

    The prompt-level strict accuracy of IFEval (Zhou et al. 2023, arXiv 2311.07911);
    with ``partial`` its instruction-level one: the share of checks passed. The
    checks are its kind, not its code: `evals.scorers.checks` has their names.
    """

    name: str = "instructions"
    field: str = "checks"
    """Field of the sample with the list of checks, ``{"type": "words", …}`` each."""
    partial: bool = False

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "instructions", revision=1)

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return a value from 0 to 1; unscored when a check is not understood."""
        del surroundings
        checks = sample.fields.get(self.field)
        try:
            if isinstance(checks, str):
                checks = read_json(checks)
            if not isinstance(checks, list) or not checks:
                return unscored(f"the sample has no list of checks in '{self.field}'")
            failed = [one for one in checks if not _passes(answer.text, one)]
        except ValueError as error:
            return unscored(str(error))
        value = 1 - len(failed) / len(checks) if self.partial else float(not failed)
        names = ", ".join(str(one["type"]) for one in failed)
        return scored(answer, value, why=f"failed: {names}" if failed else "")


def _passes(text: str, check: object) -> bool:
    if not isinstance(check, Mapping):
        msg = f"a check is a {type(check).__name__}, not an object with a type"
        raise CheckInvalid(msg)
    return passes(text, check)
