"""Asking every candidate the tasks of a plan; until it is settled, if so asked."""

from __future__ import annotations

import math
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from localkit.evals.comparing.growing import grow
from localkit.evals.comparing.task_results import task_results
from localkit.evals.running.answers import answer_tasks
from localkit.evals.running.evaluate import plan_parts
from localkit.evals.running.scoring import scored_values
from localkit.evals.runs.record import TaskRecord
from localkit.evals.runs.writing import open_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.comparing.family import Candidate, Family
    from localkit.evals.comparing.plan import Plan
    from localkit.evals.comparing.row import TaskResult
    from localkit.evals.running.bench import Bench
    from localkit.evals.running.result import SampleResult
    from localkit.evals.runs.writing import OpenRun
    from localkit.evals.statistics.sequential import Look
    from localkit.evals.subjects.protocol import Subject


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of the tasks."""

    results: Mapping[str, Mapping[str, Sequence[SampleResult]]]
    """By task, then by label."""
    by_label: Mapping[str, tuple[TaskResult, ...]]
    """Each candidate's result in each task."""
    n_items: Mapping[str, int]
    """Samples asked, by task."""
    run: str = ""
    """Id of the run that lists the answers; empty: nothing was asked."""
    remarks: tuple[str, ...] = ()
    """What growing the samples has settled."""


def ask_tasks(bench: Bench, plan: Plan, family: Family) -> Asked:
    """Ask what is not stored, and test every candidate against the reference.

    Raises:
        Cancelled: stopping was asked for; finished samples are stored.
    """
    if not plan.tasks:
        return Asked({}, {}, {})
    reference = family.reference.label
    limits: dict[str, int] = {}
    looks: dict[str, Mapping[str, Look]] = {}
    remarks: list[str] = []
    with ExitStack() as stack:
        remotes = [
            stack.enter_context(closing(_opened(one.address))) for one in family.remotes
        ]
        candidates: list[Candidate | Subject] = [*family.candidates, *remotes]
        for task in plan.tasks:
            limits[task.name] = plan.limits[task.name]
            if plan.request.precision is not None:
                grown = grow(bench, plan, candidates, task, reference)
                limits[task.name] = grown.n_items
                remarks += grown.remarks
                looks[task.name] = grown.looks
        run = stack.enter_context(_run(bench, plan, candidates, limits))
        results = answer_tasks(
            bench,
            candidates,
            plan.tasks,
            params=plan.scoring,
            limits=limits,
            run=run,
            allow_code=plan.request.allow_code,
        )
    by_label: dict[str, tuple[TaskResult, ...]] = {}
    for task in plan.tasks:
        scored = {
            label: scored_values(task, found)
            for label, found in results[task.name].items()
        }
        metric = TaskRecord.of(task).metric
        for label, one in task_results(task.name, metric, scored, reference).items():
            look = looks.get(task.name, {}).get(label)
            shown = one if look is None else _looked_at(one, look)
            by_label[label] = (*by_label.get(label, ()), shown)
    return Asked(results, by_label, limits, run.id, tuple(remarks))


def _looked_at(result: TaskResult, look: Look) -> TaskResult:
    """Return a result of a grown sample: what holds for one look does not for many."""
    return replace(
        result,
        difference=look.difference,
        n_needed=look.n_needed,
        p_value=math.nan,
        p_holm=math.nan,
    )


def _opened(address: str) -> Subject:
    from localkit.evals.subjects.remote import open_remote

    return open_remote(address)


def _run(
    bench: Bench,
    plan: Plan,
    candidates: Sequence[Candidate | Subject],
    limits: Mapping[str, int],
) -> OpenRun:
    """Return the run under which the answers are listed."""
    planned = plan_parts(candidates, plan.tasks, limits)
    return open_run(
        bench.runs,
        kind="compare",
        command=plan.command,
        planned=planned,
        environment=bench.environment(),
    )
