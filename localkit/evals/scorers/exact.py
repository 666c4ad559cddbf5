"""Whether the answer is the target and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localkit.evals.scorers.normalising import normalise
from localkit.evals.scorers.scoring import definition_of, no_target, scored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample


@dataclass(frozen=True, slots=True)
class Exact:
    """1 when the whole answer equals a target.

    Whitespace at the ends and runs of it never count. With all three options it is
    the exact match of the SQuAD script, for texts in ASCII; ``ignore_case`` and
    ``ignore_punctuation`` are named as in lm-evaluation-harness's `exact_match`.
    """

    name: str = "exact"
    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_articles: bool = False

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "exact")

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return 1 or 0; unscored without a target."""
        del surroundings
        missing = no_target(sample)
        if missing is not None:
            return missing
        said = self._normal(answer.text)
        right = any(said == self._normal(target) for target in sample.target)
        return scored(answer, float(right), said)

    def _normal(self, text: str) -> str:
        return normalise(
            text,
            ignore_case=self.ignore_case,
            ignore_punctuation=self.ignore_punctuation,
            ignore_articles=self.ignore_articles,
        )
