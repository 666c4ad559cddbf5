"""Whether the target stands somewhere in the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localkit.evals.scorers.normalising import (
    find_words,
    normalise,
    strip_punctuation,
)
from localkit.evals.scorers.scoring import definition_of, no_target, scored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample


@dataclass(frozen=True, slots=True)
class Includes:
    """1 when a target stands in the answer.

    inspect_ai's `includes`, with whole words: "4" is not in "14". It cannot tell
    "not Paris" from "Paris", nor a model that names all it knows from one that
    knows: where that matters, take `Exact` or a judge.
    """

    name: str = "includes"
    ignore_case: bool = True
    ignore_punctuation: bool = False
    """Everywhere; punctuation at the ends of a target never counts."""
    words: bool = True
    """Whole words only; false: anywhere, as inspect_ai does."""

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "includes")

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return 1 or 0; unscored without a target."""
        del surroundings
        missing = no_target(sample)
        if missing is not None:
            return missing
        said = self._normal(answer.text)
        for target in sample.target:
            wanted = self._normal(strip_punctuation(target))
            if wanted and (find_words(said, wanted) if self.words else wanted in said):
                return scored(answer, 1.0, wanted)
        return scored(answer, 0.0, why="no target stands in the answer")

    def _normal(self, text: str) -> str:
        return normalise(
            text,
            ignore_case=self.ignore_case,
            ignore_punctuation=self.ignore_punctuation,
        )
