"""`evaluate`: ask models the samples of tasks, and say what they scored."""

from __future__ import annotations

import shlex
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.errors import UsageError
from localkit.evals.comparing.family import Candidate
from localkit.evals.running.answers import ask_tasks, check
from localkit.evals.running.bench import Bench
from localkit.evals.running.surroundings import open_subject
from localkit.evals.runs.database import Runs
from localkit.evals.runs.evaluation import Evaluation, read_evaluation
from localkit.evals.runs.record import SampleNames, TaskRecord
from localkit.evals.runs.writing import Planned, open_run
from localkit.evals.scorers.pinning import digest_in, pinned
from localkit.evals.tasks.given import as_task, several
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.kit import default_kit
from localkit.remote.address import is_address
from localkit.runtime.params import LoadParams
from localkit.store.ref import ModelRef
from localkit.store.stored import StoredModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.subjects.protocol import Subject
    from localkit.evals.tasks.task import Task
    from localkit.kit import Kit

    AnyModel = str | ModelRef | StoredModel | Candidate | Subject
    AnyTask = str | Path | Task

SCORING_CONTEXT = 2048
"""Context for answers: room for a question with all its endings."""
_SIDE_BY_SIDE = 8
"""Choices of a question that are scored in one batch."""


def evaluate(
    model: AnyModel | Sequence[AnyModel],
    task: AnyTask | Sequence[AnyTask],
    *,
    limit: int | None = None,
    epochs: int | None = None,
    n_ctx: int | None = None,
    allow_code: bool = False,
    kit: Kit | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Evaluation:
    """Ask one or several models the samples of one or several tasks.

    What is stored is not asked again: a run that was stopped or killed goes on where
    it was, and one with a higher ``limit`` asks what is new.

    Args:
        model: Model refs, or addresses ``MODEL@URL`` of servers that speak OpenAI's
            or Ollama's dialect.
        task: Names of packaged tasks, task files, tables with prompts and expected
            answers (CSV, JSON Lines), or `Task` values.
        limit: Most samples of each task, from the first.
        epochs: How often each sample is asked, in place of what the task says.
        n_ctx: Context length to answer in; default: 2048, at most the training
            context.
        allow_code: Code that a model wrote may be run against its tests.
        kit: Store, runtime and settings; default: the process's.
        on_progress: Called as samples are answered.
        cancel: Stops between two samples; what is answered is kept.

    Returns:
        The scores with their intervals; the answers are read when they are wanted.

    Raises:
        ModelNotFound: no such model.
        LockDrift: a model no longer is what ``localkit.lock`` pins.
        UsageError: an argument makes no sense, or code must not be run.
        DatasetInvalid: a task cannot be read.
        ResultsInvalid: stored results cannot be read.
        Cancelled: ``cancel`` was raised.
    """
    kit = kit or default_kit()
    tasks = [pinned(_as_task(one, epochs), digest_in(kit)) for one in several(task)]
    models = several(model)
    _check(models, tasks, limit)
    with ExitStack() as stack:
        runs = stack.enter_context(closing(Runs(kit.settings.runs_db)))
        bench = Bench(kit, runs, on_progress, cancel or CancelToken())
        candidates = [_as_candidate(bench, stack, one) for one in models]
        params = LoadParams(n_ctx=n_ctx or SCORING_CONTEXT, n_seq_max=_SIDE_BY_SIDE)
        if n_ctx is None:
            params = _within_training(params, candidates)
        check(candidates, tasks, allow_code=allow_code)
        run = open_run(
            runs,
            kind="eval",
            command=_command(model, task, limit=limit, epochs=epochs, n_ctx=n_ctx),
            planned=plan_parts(candidates, tasks, {one.name: limit for one in tasks}),
            environment=bench.environment() | {"n_ctx": params.n_ctx or 0},
        )
        with run:
            for one in tasks:
                if one.remark:
                    run.say(f"{one.name}: {one.remark}")
            ask_tasks(
                bench,
                candidates,
                tasks,
                params=params,
                limits={one.name: limit for one in tasks},
                run=run,
                allow_code=allow_code,
            )
    return read_evaluation(kit.settings.runs_db, run.id)


def plan_parts(
    candidates: Sequence[Candidate | Subject],
    tasks: Sequence[Task],
    limits: Mapping[str, int | None],
) -> list[Planned]:
    """Return the parts of a run: every candidate in every task, for `open_run`."""
    records = [
        (TaskRecord.of(task), SampleNames.of(task.samples[: limits.get(task.name)]))
        for task in tasks
    ]
    return [
        _planned(candidate, record, names)
        for candidate in candidates
        for record, names in records
    ]


def _planned(
    candidate: Candidate | Subject, record: TaskRecord, names: SampleNames
) -> Planned:
    if isinstance(candidate, Candidate):
        return Planned(
            label=candidate.label,
            model=str(candidate.model.ref),
            weights_digest=candidate.weights_digest,
            task=record,
            samples=names,
            variant=repr(candidate.variant.changes() or ""),
        )
    return Planned(
        label=candidate.label,
        model=candidate.label,
        weights_digest=candidate.digest,
        task=record,
        samples=names,
    )


def _as_task(given: AnyTask, epochs: int | None) -> Task:
    task = as_task(given)
    if epochs is None:
        return task
    if epochs < 1:
        msg = f"epochs is {epochs}"
        raise UsageError(msg, hint="ask each sample once, or more often")
    if task.method != "generate":
        msg = f"task {task.name} compares probabilities: asking it again tells nothing"
        raise UsageError(msg, hint="leave epochs out")
    return replace(task, epochs=epochs)


def _as_candidate(
    bench: Bench, stack: ExitStack, given: AnyModel
) -> Candidate | Subject:
    if isinstance(given, str) and is_address(given):
        subject = open_subject(bench, given)
        stack.callback(subject.close)
        return subject
    if isinstance(given, Candidate):
        return replace(given, model=bench.kit.resolve(given.model))
    if isinstance(given, str | ModelRef | StoredModel):
        stored = bench.kit.resolve(
            given, on_progress=bench.on_progress, cancel=bench.cancel
        )
        return Candidate(str(stored.ref), stored)
    return given


def _check(models: Sequence[object], tasks: Sequence[Task], limit: int | None) -> None:
    if not models or not tasks:
        what = "task" if models else "model"
        msg = f"no {what} is given to evaluate"
        raise UsageError(msg, hint=f"name one {what} or more")
    if limit is not None and limit < 1:
        msg = f"limit is {limit}"
        raise UsageError(msg, hint="ask one sample, or more")


def _within_training(
    params: LoadParams, candidates: Sequence[Candidate | Subject]
) -> LoadParams:
    """Return params that no model's training context is shorter than."""
    trained = [
        one.info.n_ctx_train
        for one in candidates
        if isinstance(one, Candidate) and one.info.n_ctx_train
    ]
    return replace(params, n_ctx=min([SCORING_CONTEXT, *trained]))


def _command(
    model: object,
    task: object,
    *,
    limit: int | None,
    epochs: int | None,
    n_ctx: int | None,
) -> str:
    words = ["localkit", "eval"]
    words += [_word(one, str(getattr(one, "label", one))) for one in several(model)]
    for one in several(task):
        words += ["--task", _word(one, f"<{getattr(one, 'name', 'task')}>")]
    options = {"--limit": limit, "--epochs": epochs, "--n-ctx": n_ctx}
    for option, number in options.items():
        words += [] if number is None else [option, str(number)]
    return shlex.join(words)


def _word(given: object, otherwise: str) -> str:
    return str(given) if isinstance(given, str | Path | ModelRef) else otherwise
