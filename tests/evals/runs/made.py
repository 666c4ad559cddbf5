"""Runs made by hand: answers of which one knows what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.running.result import SampleResult
from localkit.evals.running.spec import TaskSpec
from localkit.evals.runs.record import PartSummary, SampleNames, TaskRecord
from localkit.evals.runs.results import name_of
from localkit.evals.runs.writing import Planned, open_run
from localkit.evals.scorers.protocol import Score
from localkit.evals.statistics.paired import summarize_scored
from localkit.evals.statistics.scored import Scored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.runs.database import Runs

TASK = TaskRecord(name="quiz", digest="d1", method="generate", scorers=("exact",))


def make_run(
    runs: Runs,
    values: Mapping[str, Sequence[float | None]],
    *,
    task: TaskRecord = TASK,
    weights: str = "sha256:aa",
    groups: Sequence[str] = (),
    finish: bool = True,
    answer: str = "answer",
) -> str:
    """Store a run of models by label with a value a sample; None is unscored."""
    n_samples = max(map(len, values.values())) // task.epochs
    names = SampleNames(ids=tuple(f"s{i}" for i in range(n_samples)), groups=groups)
    planned = [
        Planned(label, f"{label}:tag", f"{weights}{label}", task, names)
        for label in values
    ]
    run = open_run(
        runs, kind="eval", command="made", planned=planned, environment={"x": answer}
    )
    for label, got in values.items():
        spec = TaskSpec(task.digest)
        cell = runs.cell(f"{weights}{label}", spec, {"answer": answer})
        run.place(label, task.name, cell.key)
        cell.put_many(_records(got, task, f"{answer} of {label}"))
        scored = [Scored(str(i), 0.5 if x is None else x) for i, x in enumerate(got)]
        if finish:
            summary = PartSummary.of(summarize_scored(scored), 0)
            run.summarize(label, task.name, summary)
    if finish:
        run.finish("done")
    return run.id


def _records(
    values: Sequence[float | None], task: TaskRecord, answer: str
) -> list[tuple[str, dict[str, object]]]:
    records = []
    for i, value in enumerate(values):
        id_, epoch = f"s{i // task.epochs}", i % task.epochs
        result = SampleResult(
            id=id_,
            epoch=epoch,
            answer=f"{answer} to {id_}",
            scores={
                name: Score(value=value, why="" if value is not None else "no idea")
                for name in task.scorers
            },
        )
        record = result.model_dump(exclude_defaults=True)
        records.append((name_of(id_, epoch), record))
    return records
