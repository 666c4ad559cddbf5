"""Which of the choices a written answer takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import regex

from localkit.evals.scorers.normalising import (
    find_words,
    normalise,
    strip_punctuation,
)
from localkit.evals.scorers.scoring import definition_of, scored, unscored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample

# Runs are possessive (*+): a model may write spaces without end.
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SAID = regex.compile(
    r"(?i:\banswer\b\s*+(?:is\b|:)?\s*+(?:option\b|choice\b)?)[\s:*(\[\"']*+"
    r"(?P<letter>[A-Z])(?![\w'’])"
)
_LEADING = regex.compile(r"[\s*(\[\"']*+(?P<letter>[A-Z])[ \t]*+(?:[).:\]]|\*\*|$|\n)")
_MARKED = regex.compile(r"(?:\(|\*\*)(?P<letter>[A-Z])(?:\)|\*\*)")


@dataclass(frozen=True, slots=True)
class Choice:
    """1 when the answer takes the right choice, by its letter or its text.

    In this order: the whole answer is a letter or a choice; "the answer is (B)",
    the last one, as MMLU-Pro and inspect_ai's `choice` read it; a letter at the
    start, "B) …"; the one letter in brackets or bold; the one choice whose text
    stands in the answer. An answer that names several is wrong and says so.
    """

    name: str = "choice"
    labels: tuple[str, ...] = ()
    """Choices of every sample, where the samples have none: the names of classes."""

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "choice")

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return 1 or 0; unscored when no choice is known to be right."""
        del surroundings
        texts, gold = self._choices(sample)
        if not 0 <= gold < len(texts):
            return unscored("the target is none of the choices")
        # Names of classes have no letters that the model could have been shown.
        taken, why = taken_choice(answer.text, texts, letters=not self.labels)
        if taken is None:
            return scored(answer, 0.0, why=why)
        return scored(answer, float(taken == gold), texts[taken], why)

    def _choices(self, sample: Sample) -> tuple[tuple[str, ...], int]:
        if not self.labels:
            return sample.choices, sample.gold
        normal = [_normal(label) for label in self.labels]
        targets = {_normal(target) for target in sample.target}
        right = [number for number, label in enumerate(normal) if label in targets]
        return self.labels, right[0] if right else -1


def taken_choice(
    text: str, choices: Sequence[str], *, letters: bool = True
) -> tuple[int | None, str]:
    """Return the index of the choice that ``text`` takes, and how that was seen.

    Args:
        text: The answer.
        choices: Texts of the choices.
        letters: Whether they are also called A, B, ….
    """
    normal = [_normal(choice) for choice in choices]
    whole = strip_punctuation(text.strip())
    if _normal(whole) in normal:
        return normal.index(_normal(whole)), ""
    if letters:
        known = _LETTERS[: len(choices)]
        if len(whole) == 1 and whole.upper() in known:
            return known.index(whole.upper()), ""
        said = [one["letter"] for one in _SAID.finditer(text) if one["letter"] in known]
        if said:
            return known.index(said[-1]), ""
        leading = _LEADING.match(text)
        if leading and leading["letter"] in known:
            return known.index(leading["letter"]), ""
        marked = {one["letter"] for one in _MARKED.finditer(text)} & set(known)
        if len(marked) == 1:
            return known.index(marked.pop()), ""
    return _named(_normal(text), normal)


def _named(said: str, choices: list[str]) -> tuple[int | None, str]:
    """Return the one choice whose text stands in the answer.

    Where one choice is part of another ("York", "New York"), only places that the
    longer one does not cover count for the shorter.
    """
    covered: list[range] = []
    named = []
    for number in sorted(range(len(choices)), key=lambda one: -len(choices[one])):
        length = len(choices[number])
        places = [
            at
            for at in find_words(said, choices[number])
            if not any(at in other for other in covered)
        ]
        if places:
            named.append(number)
            covered += [range(at, at + length) for at in places]
    if len(named) == 1:
        return named[0], ""
    if not named:
        return None, "no choice in the answer"
    return None, f"the answer names {len(named)} choices"


def _normal(text: str) -> str:
    return normalise(strip_punctuation(text.strip()), ignore_case=True)
