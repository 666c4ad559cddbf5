"""Similarity: how near an answer's meaning is to a right one's, by an embedding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from localkit.errors import Cancelled, LocalkitError, UsageError
from localkit.evals.scorers.protocol import Score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.evals.scorers.protocol import Answer, Surroundings
    from localkit.evals.tasks.sample import Sample


@dataclass(frozen=True, slots=True)
class Similarity:
    """Cosine of the embeddings of answer and nearest target; below 0 it is 0."""

    model: str
    """Which model embeds: a model ref, or ``MODEL@URL``."""
    threshold: float | None = None
    """1 from this cosine on, 0 below it; None: the cosine itself."""
    digest: str = ""
    """Of the model, as `Subject` has it; see `Judge.digest`."""
    name: str = "similarity"

    def __post_init__(self) -> None:
        """Refuse a threshold that no cosine, or every one, reaches."""
        if self.threshold is not None and not -1 < self.threshold <= 1:
            msg = f"the threshold of similarity is {self.threshold:g}"
            raise UsageError(msg, hint="a cosine is between -1 and 1")

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return {
            "type": "similarity",
            "model": self.model,
            "digest": self.digest,
            "threshold": self.threshold,
        }

    def pinned(self, digest: str) -> Similarity:
        """Return the same scorer, held to the model of that digest."""
        return replace(self, digest=digest)

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return the cosine, or whether it reaches the threshold."""
        targets = [target for target in sample.target if target.strip()]
        if not targets:
            return Score(value=None, why="there is no target to compare with")
        if not answer.text.strip():
            return Score(value=0.0, why="the answer is empty")
        try:
            subject = surroundings.open_subject(self.model)
            if self.digest and subject.digest != self.digest:
                why = f"'{self.model}' is another model now: {subject.digest[:19]}…"
                return Score(value=None, why=why)
            # One at a time: beside others a vector may differ in its last digits.
            vectors = [
                subject.embed([text], cancel=surroundings.cancel)[0]
                for text in (answer.text, *targets)
            ]
        except Cancelled:
            raise
        except LocalkitError as error:
            why = f"'{self.model}' did not embed it: {error.one_line()}"
            return Score(value=None, why=why)
        cosines = [_cosine(vectors[0], vector) for vector in vectors[1:]]
        if not all(np.isfinite(cosines)):
            return Score(value=None, why=f"'{self.model}' gave a vector of no length")
        best = int(np.argmax(cosines))
        cosine = cosines[best]
        value = max(0.0, min(1.0, cosine))
        if self.threshold is not None:
            value = float(cosine >= self.threshold)
        return Score(value=value, extracted=targets[best], why=f"cosine {cosine:.4f}")


def _cosine(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    a, b = one.astype(np.float64), other.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
