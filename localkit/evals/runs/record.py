"""What a run is, as it is stored: its parts, their tasks, their samples."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from localkit.evals.statistics.estimates import Estimate
from localkit.evals.tasks.kinds import Method, Norm, Reduction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.statistics.paired import ScoreSummary
    from localkit.evals.tasks.sample import Sample
    from localkit.evals.tasks.task import Task

T = TypeVar("T", bound=BaseModel)

Kind = Literal["eval", "compare", "import"]
Status = Literal["running", "done", "partial", "interrupted"]
"""``partial``: what could be asked was, and something could not."""

# A million ids of 64 characters, with groups and hashes.
_MAX_NAMES_BYTES = 256 << 20


class TaskRecord(BaseModel):
    """What must be known of a task to read its scores, without its data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    digest: str
    """Equal means the same test: `Task.digest`, or over what another tool asked."""
    method: Method
    norm: Norm = "char"
    scorers: tuple[str, ...] = ()
    """Names; the first one's score is the task's."""
    reduction: Reduction = "mean"
    k: int = 1
    epochs: int = 1

    @classmethod
    def of(cls, task: Task) -> Self:
        """Return the record of ``task``."""
        return cls(
            name=task.name,
            digest=task.digest,
            method=task.method,
            norm=task.norm,
            scorers=_scorers(task),
            reduction=task.reduction,
            k=task.k,
            epochs=epochs_of(task),
        )

    @property
    def metric(self) -> str:
        """What the score is called: ``accuracy``, the scorer, ``pass@3``."""
        if self.reduction != "mean":
            return self.reduction.replace("k", str(self.k))
        return self.answer_metric

    @property
    def answer_metric(self) -> str:
        """What the score of one answer is called."""
        if self.method == "choices":
            return "accuracy"
        return self.scorers[0] if self.scorers else "score"

    def once(self) -> Self:
        """Return the record of the task when each answer stands for itself."""
        return self.model_copy(update={"reduction": "mean", "k": 1, "epochs": 1})

    @property
    def scoring(self) -> tuple[object, ...]:
        """Equal where two values mean the same."""
        norm = self.norm if self.method == "choices" else None
        k = self.k if self.reduction != "mean" else None
        return self.method, norm, self.scorers[:1], self.reduction, k


def epochs_of(task: Task) -> int:
    """Return how often each sample is asked: once where no answer is sampled."""
    return task.epochs if task.method == "generate" else 1


def _scorers(task: Task) -> tuple[str, ...]:
    if task.method == "retrieve":
        from localkit.evals.scorers.retrieval import MEASURES

        return MEASURES
    return tuple(scorer.name for scorer in task.scorers)


class SampleNames(BaseModel):
    """The samples that a part asks for, in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[str, ...]
    groups: tuple[str, ...] = ()
    """One an id; empty where every sample stands alone."""
    hashes: tuple[str, ...] = ()
    """One an id: of what was asked, where no digest of the task is known."""

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Self:
        """Return the names of ``samples``."""
        groups = tuple(sample.group for sample in samples)
        return cls(
            ids=tuple(sample.id for sample in samples),
            groups=groups if any(groups) else (),
        )

    def group(self, index: int) -> str:
        """Return the group of a sample; empty: it stands alone."""
        return self.groups[index] if self.groups else ""

    def encode(self) -> bytes:
        """Return the names as they are stored."""
        fields = self.model_dump(exclude_defaults=True)
        return zlib.compress(json.dumps(fields).encode(), 1)

    @classmethod
    def decode(cls, content: bytes) -> Self | None:
        """Return what `encode` made; None when it is damaged."""
        stream = zlib.decompressobj()
        try:
            text = stream.decompress(content, _MAX_NAMES_BYTES)
            return cls.model_validate(json.loads(text)) if stream.eof else None
        except (zlib.error, ValueError, ValidationError, RecursionError):
            return None


class PartSummary(BaseModel):
    """What came of one model's part in one task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    """Mean score; NaN when nothing was scored."""
    se: float
    low: float
    high: float
    n: int
    """Independent observations behind the interval."""
    method: str
    """How the interval was made."""
    n_scored: int
    n_unscored: int
    n_missing: int = 0
    """Samples that have not been asked: the run was stopped, or the model failed."""

    @classmethod
    def of(cls, summary: ScoreSummary, n_missing: int) -> Self:
        """Return the summary of scores, ``n_missing`` of which are none yet."""
        estimate = summary.estimate
        return cls(
            value=estimate.value,
            se=estimate.se,
            low=estimate.low,
            high=estimate.high,
            n=estimate.n,
            method=estimate.method,
            n_scored=summary.n_items,
            n_unscored=summary.n_unscored - n_missing,
            n_missing=n_missing,
        )

    @property
    def estimate(self) -> Estimate:
        """The mean score with its uncertainty."""
        return Estimate(self.value, self.se, self.low, self.high, self.n, self.method)

    def encode(self) -> str:
        """Return it as it is stored; NaN stays NaN."""
        return json.dumps(self.model_dump())


def read_model(kind: type[T], text: str | bytes) -> T | None:
    """Return a record that was stored as JSON; None when it is damaged."""
    try:
        value: Any = json.loads(text)
        return kind.model_validate(value)
    except (ValueError, ValidationError, RecursionError):
        return None
