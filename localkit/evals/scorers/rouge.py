"""ROUGE: words, word pairs or the longest common sequence shared with the target."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import regex

from localkit.evals.scorers.scoring import (
    best,
    definition_of,
    no_target,
    scored,
    unscored,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample

_WORD = regex.compile("[a-z0-9]+")
# The longest common sequence takes as many steps as the product of both lengths.
MAX_WORDS = 4000


@dataclass(frozen=True, slots=True)
class Rouge:
    """F1 of ROUGE-1, ROUGE-2 or ROUGE-L, the best target's.

    As Google's `rouge_score` 0.1.2 without its stemmer: words are runs of ASCII
    letters and digits in lower case. Own code, because that package has had no
    release since 2022 and brings nltk along. A target without such words is unscored.
    """

    name: str = "rouge"
    kind: Literal["rouge1", "rouge2", "rougeL"] = "rougeL"

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "rouge")

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return a value from 0 to 1; unscored without words to compare."""
        del surroundings
        missing = no_target(sample)
        if missing is not None:
            return missing
        targets = [_words(target) for target in sample.target]
        if not all(targets):
            return unscored("the target has no words in ASCII letters or digits")
        said = _words(answer.text)
        if max(len(said), *map(len, targets)) > MAX_WORDS:
            return unscored(f"answer or target is longer than {MAX_WORDS} words")
        value = best(sample.target, lambda target: self._f1(said, _words(target)))
        return scored(answer, value)

    def _f1(self, said: Sequence[str], target: Sequence[str]) -> float:
        if self.kind == "rougeL":
            shared, n_said, n_target = _common(said, target), len(said), len(target)
        else:
            n = int(self.kind[-1])
            ours, theirs = _grams(said, n), _grams(target, n)
            shared = (ours & theirs).total()
            n_said, n_target = ours.total(), theirs.total()
        if shared == 0:
            return 0.0
        precision, recall = shared / n_said, shared / n_target
        return 2 * precision * recall / (precision + recall)


def _words(text: str) -> list[str]:
    return [match[0] for match in _WORD.finditer(text.lower())]


def _grams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    previous = [0] * (len(b) + 1)
    for one in a:
        row = [0]
        for at, other in enumerate(b):
            row.append(
                previous[at] + 1 if one == other else max(previous[at + 1], row[at])
            )
        previous = row
    return previous[-1]
