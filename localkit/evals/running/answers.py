"""Answers of every candidate to the items of a task, and how they differ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import ValidationError

from localkit.errors import ResultsInvalid
from localkit.evals.comparing.row import TaskResult
from localkit.evals.running.bench import Steps
from localkit.evals.running.spec import TaskSpec
from localkit.evals.scorers.choices import (
    ItemScore,
    compare_items,
    score_item,
    summarize_items,
)
from localkit.evals.statistics.estimates import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.comparing.family import Family
    from localkit.evals.running.bench import Bench
    from localkit.evals.runs.database import Cell
    from localkit.evals.tasks.sample import Sample
    from localkit.evals.tasks.task import Norm, Task
    from localkit.runtime.protocol import LoadParams

Answers = dict[str, list[ItemScore]]
"""By candidate label, in the order of the items."""


def answer_items(
    bench: Bench,
    family: Family,
    task: Task,
    items: Sequence[Sample],
    *,
    params: LoadParams,
) -> Answers:
    """Ask every candidate every item; what is stored is not asked again.

    Raises:
        Cancelled: stopping was asked for; finished items are stored.
    """
    steps = Steps(bench, task.name, len(items) * len(family.candidates), "items")
    answers: Answers = {}
    for candidate in family.candidates:
        with bench.station(candidate, params) as station:
            cell = station.cell(TaskSpec(task.digest), numeric=True)
            done = cell.items()
            missing = [item for item in items if item.id not in done]
            steps.advance(len(items) - len(missing))
            for item in missing:
                score = score_item(station.session, task, item, cancel=bench.cancel)
                cell.put_record(item.id, score.model_dump())
                steps.advance()
        answers[candidate.label] = [_restored(cell, item) for item in items]
    return answers


def _restored(cell: Cell, item: Sample) -> ItemScore:
    try:
        return ItemScore.model_validate(cell.record(item.id))
    except ValidationError as error:
        msg = f"the answer to item '{item.id}' in cell {cell.key[:12]} is damaged"
        raise ResultsInvalid(msg, hint="move the results away, ask again") from error


def task_results(
    name: str, norm: Norm, answers: Mapping[str, Sequence[ItemScore]], reference: str
) -> dict[str, TaskResult]:
    """Return each candidate's accuracy and its paired tests against ``reference``."""
    others = [label for label in answers if label != reference]
    paired = {
        label: compare_items(answers[label], answers[reference], norm)
        for label in others
    }
    adjusted = holm([paired[label].p_value for label in others])
    p_holm = dict(zip(others, adjusted, strict=True))
    results = {}
    for label, scores in answers.items():
        summary = summarize_items(scores, norm)
        pair = paired.get(label)
        results[label] = TaskResult(
            name=name,
            score=summary.accuracy,
            n_items=summary.n_items,
            n_unscored=summary.n_unscored,
            difference=pair.difference if pair else None,
            n_lost=pair.n_lost if pair else 0,
            n_gained=pair.n_gained if pair else 0,
            p_value=pair.p_value if pair else math.nan,
            p_holm=p_holm.get(label, math.nan),
            n_needed=pair.n_needed if pair else None,
        )
    return results
