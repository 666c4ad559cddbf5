"""Scores of the answers so far, while a task is being asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from localkit.evals.comparing.task_results import task_results
from localkit.evals.running.scoring import scored_values
from localkit.evals.runs.record import TaskRecord, epochs_of
from localkit.evals.runs.results import NOT_ASKED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.row import TaskResult
    from localkit.evals.running.result import SampleResult
    from localkit.evals.statistics.scored import Scored
    from localkit.evals.tasks.task import Task

_BATCH = 256


@dataclass(slots=True)
class SoFar:
    """The answers of one candidate to a task, from the first one on.

    Each is read once, however often they are looked at.
    """

    task: Task
    results: Sequence[SampleResult]
    """One an answer; what is not there yet says so."""
    whole: bool
    """Whether nothing more comes."""
    scored: list[Scored] = field(default_factory=list)

    def read(self) -> list[Scored]:
        """Return what the samples got up to the first that is not answered."""
        epochs = epochs_of(self.task)
        while (start := len(self.scored) * epochs) < len(self.results):
            batch = list(self.results[start : start + _BATCH * epochs])
            missing = (i for i, one in enumerate(batch) if one.unscored == NOT_ASKED)
            n_there = next(missing, len(batch)) // epochs
            self.scored += scored_values(
                self.task, batch[: n_there * epochs], texts=False
            )
            if n_there * epochs < len(batch):
                break
        return self.scored


def result_so_far(own: SoFar, base: SoFar) -> TaskResult | None:
    """Return a candidate's score and its difference from the reference's.

    Both on the samples that both have answered; None where there are none. The
    p-value is not adjusted: that takes all candidates.
    """
    n_both = min(len(own.read()), len(base.read()))
    if not n_both:
        return None
    names = ("reference",) if own is base else ("reference", "own")
    scored = {
        name: one.scored[:n_both] for name, one in zip(names, (base, own), strict=False)
    }
    metric = TaskRecord.of(own.task).metric
    found = task_results(own.task.name, metric, scored, "reference")
    return replace(found[names[-1]], p_holm=math.nan)
