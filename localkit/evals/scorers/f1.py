"""How many words answer and target share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localkit.evals.scorers.normalising import squad_normalise
from localkit.evals.scorers.scoring import best, definition_of, no_target, scored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample


@dataclass(frozen=True, slots=True)
class F1:
    """Token F1 of SQuAD 1.1 (``f1_score`` of evaluate-v1.1.py), the best target's.

    Words are what spaces part, after case, ASCII punctuation and English articles
    are gone; so it says little in scripts without spaces.
    """

    name: str = "f1"

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "f1")

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return a value from 0 to 1; unscored without a target."""
        del surroundings
        missing = no_target(sample)
        if missing is not None:
            return missing
        said = squad_normalise(answer.text)
        value = best(sample.target, lambda t: token_f1(said, squad_normalise(t)))
        return scored(answer, value, said)


def token_f1(said: str, target: str) -> float:
    """Return F1 over the words of two normalised texts."""
    words, wanted = said.split(), target.split()
    shared = sum((Counter(words) & Counter(wanted)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(words), shared / len(wanted)
    return 2 * precision * recall / (precision + recall)
