"""Answers of every candidate to the samples of tasks; what is stored is not asked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from localkit.errors import UsageError
from localkit.evals.running.bench import Steps
from localkit.evals.running.seat import seated
from localkit.evals.running.surroundings import surroundings
from localkit.evals.running.turn import Turn
from localkit.evals.runs.record import epochs_of
from localkit.evals.scorers.code import require_allowed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.comparing.family import Candidate
    from localkit.evals.running.bench import Bench
    from localkit.evals.running.result import SampleResult
    from localkit.evals.runs.results import Results
    from localkit.evals.runs.writing import OpenRun
    from localkit.evals.subjects.protocol import Subject
    from localkit.evals.tasks.task import Task
    from localkit.runtime.protocol import LoadParams


def answer_tasks(
    bench: Bench,
    candidates: Sequence[Candidate | Subject],
    tasks: Sequence[Task],
    *,
    params: LoadParams,
    limits: Mapping[str, int | None] | None = None,
    run: OpenRun | None = None,
    allow_code: bool = False,
) -> dict[str, dict[str, list[SampleResult]]]:
    """Return the results by task and candidate's label; otherwise as `ask_tasks`.

    Samples are in order, the epochs of one side by side.
    """
    found = ask_tasks(
        bench,
        candidates,
        tasks,
        params=params,
        limits=limits,
        run=run,
        allow_code=allow_code,
    )
    return {
        name: {label: list(results) for label, results in by_label.items()}
        for name, by_label in found.items()
    }


def ask_tasks(
    bench: Bench,
    candidates: Sequence[Candidate | Subject],
    tasks: Sequence[Task],
    *,
    params: LoadParams,
    limits: Mapping[str, int | None] | None = None,
    run: OpenRun | None = None,
    allow_code: bool = False,
) -> dict[str, dict[str, Results]]:
    """Ask every candidate every sample of every task; what is stored is not asked.

    Each candidate is loaded at most once, unless it fails (`turn`). What it does not
    answer is a result that is unscored and not stored.

    Args:
        bench: Where models and results are.
        candidates: Loaded one after the other; a subject is asked as it is.
        tasks: No two of one name.
        params: How candidates are loaded, before their variant.
        limits: Most samples of a task, by its name; None and none: all.
        run: What the answers belong to.
        allow_code: Code that a model wrote may be run against its tests.

    Raises:
        Cancelled: stopping was asked for; finished samples are stored.
        UsageError: two tasks, or two candidates, have one name; or a task runs code
            and that is not allowed.
        ResultsInvalid: what is stored cannot be read.
        DiskFull: there is no room for an answer; those before it are stored.
    """
    check(candidates, tasks, allow_code=allow_code)
    samples = {
        task.name: task.samples[: (limits or {}).get(task.name)] for task in tasks
    }
    steps = {
        task.name: Steps(
            bench,
            task.name,
            len(samples[task.name]) * epochs_of(task) * len(candidates),
            "items",
        )
        for task in tasks
    }
    found: dict[str, dict[str, Results]] = {task.name: {} for task in tasks}
    with surroundings(bench, allow_code=allow_code) as around:
        for candidate in candidates:
            with seated(bench, candidate, params) as seat:
                turn = Turn(seat, around, run, bench.watch)
                for task in tasks:
                    results = turn.ask(task, samples[task.name], steps[task.name])
                    found[task.name][seat.label] = results
    return found


def check(
    candidates: Sequence[Candidate | Subject],
    tasks: Sequence[Task],
    *,
    allow_code: bool = False,
) -> None:
    """Refuse what could only fail or mislead later.

    Raises:
        UsageError: two tasks, or two candidates, have one name; or a task runs code
            and that is not allowed.
    """
    _refuse_twins("tasks", [task.name for task in tasks])
    _refuse_twins("candidates", [candidate.label for candidate in candidates])
    for task in tasks:
        if task.method == "generate":
            require_allowed(task.scorers, allow_code=allow_code)


def _refuse_twins(what: str, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        msg = f"two {what} are called '{twice[0]}'"
        raise UsageError(msg, hint="give each a name of its own")
