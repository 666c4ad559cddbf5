"""chrF, BLEU and TER of one answer, by sacrebleu."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from localkit.evals.scorers.scoring import definition_of, no_target, scored, unscored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample

MAX_TER_WORDS = 100


@dataclass(frozen=True, slots=True)
class Chrf:
    """chrF of sacrebleu's `sentence_chrf`, divided by 100.

    With its defaults: characters up to 6-grams, beta 2; ``word_order=2`` is chrF++.
    Signature ``nrefs:N|case:mixed|eff:yes|nc:6|nw:0|space:no``.
    """

    name: str = "chrf"
    word_order: int = 0
    lowercase: bool = False

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "chrf", sacrebleu=_version())

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return a value from 0 to 1; unscored without a target."""
        del surroundings
        metric = _metric("CHRF", word_order=self.word_order, lowercase=self.lowercase)
        return _score(metric, sample, answer)


@dataclass(frozen=True, slots=True)
class Bleu:
    """BLEU of sacrebleu's `sentence_bleu`, divided by 100.

    With its defaults for one sentence: exponential smoothing, effective order. The
    mean over samples is not the corpus BLEU of papers.
    """

    name: str = "bleu"
    tokenize: Literal["13a", "char", "intl", "none", "zh"] = "13a"
    lowercase: bool = False

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "bleu", sacrebleu=_version())

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return a value from 0 to 1; unscored without a target."""
        del surroundings
        metric = _metric(
            "BLEU",
            tokenize=self.tokenize,
            lowercase=self.lowercase,
            effective_order=True,
        )
        return _score(metric, sample, answer)


@dataclass(frozen=True, slots=True)
class Ter:
    """1 - TER of sacrebleu's `sentence_ter`, at least 0.

    TER counts edits per word of the target, so it may exceed 1 and less is better;
    scores here count up to 1. Texts of more than 100 words are unscored: its search
    for shifts took up to 6 s for 100 words without order, and 94 s for 1000.
    """

    name: str = "ter"
    normalized: bool = False
    """Tokenize as Tercom's NORMALIZED does."""
    no_punct: bool = False
    case_sensitive: bool = False

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "ter", sacrebleu=_version())

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return a value from 0 to 1; unscored without a target, or when too long."""
        del surroundings
        texts = (answer.text, *sample.target)
        if max(len(text.split()) for text in texts) > MAX_TER_WORDS:
            return unscored(f"answer or target is longer than {MAX_TER_WORDS} words")
        metric = _metric(
            "TER",
            normalized=self.normalized,
            no_punct=self.no_punct,
            case_sensitive=self.case_sensitive,
        )
        return _score(metric, sample, answer, edits=True)


def _score(
    metric: Any, sample: Sample, answer: Answer, *, edits: bool = False
) -> Score:
    missing = no_target(sample)
    if missing is not None:
        return missing
    value = metric.sentence_score(answer.text, list(sample.target)).score / 100
    return scored(answer, min(1.0, max(0.0, 1.0 - value if edits else value)))


@cache
def _metric(kind: str, **options: Any) -> Any:
    from sacrebleu import metrics

    return getattr(metrics, kind)(**options)


@cache
def _version() -> str:
    return importlib.metadata.version("sacrebleu")
