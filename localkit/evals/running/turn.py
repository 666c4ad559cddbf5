"""Turn: one candidate's way through the tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from localkit.errors import (
    Cancelled,
    DatasetInvalid,
    DiskFull,
    RuntimeFailure,
    StoreError,
    StoreLocked,
    Unsupported,
)
from localkit.evals.running.asking import Question, short
from localkit.evals.running.result import SampleResult
from localkit.evals.running.scoring import scored_values
from localkit.evals.running.watch import UNWATCHED, task_part
from localkit.evals.runs.record import PartSummary, epochs_of
from localkit.evals.runs.results import Results, name_of
from localkit.evals.statistics.paired import summarize_scored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.running.bench import Steps
    from localkit.evals.running.seat import Seat
    from localkit.evals.running.watch import Watch
    from localkit.evals.runs.database import Cell
    from localkit.evals.runs.writing import OpenRun
    from localkit.evals.scorers.protocol import Surroundings
    from localkit.evals.tasks.sample import Sample
    from localkit.evals.tasks.task import Task

_PATIENCE = 2
"""Samples in a row at which a model fails before it is given up."""

_FAILURES = RuntimeFailure, StoreError

Missing = dict[str, tuple["Sample", int]]
"""Sample and epoch by the name of the answer."""


class Turn:
    """Asks one candidate what it has not answered yet.

    A model that fails is made to answer again once for the sample at hand. What it
    does not answer then is left out, and asked again another time; after two samples
    in a row it is given up.
    """

    def __init__(
        self,
        seat: Seat,
        around: Surroundings,
        run: OpenRun | None,
        watch: Watch = UNWATCHED,
    ) -> None:
        """Take a seat; ``run`` is what the answers belong to."""
        self._watch = watch
        self._seat = seat
        self._around = around
        self._run = run
        self._given_up = ""
        self._n_failed = 0
        self._is_known = False

    def ask(self, task: Task, samples: Sequence[Sample], steps: Steps) -> Results:
        """Ask what is missing of ``task``, and return all results.

        Raises:
            Cancelled: stopping was asked for; finished samples are stored.
            DatasetInvalid: two answers would have one name.
            DiskFull: there is no room for an answer; those before it are stored.
        """
        asked = _names(task, samples)
        failed: dict[str, str] = {}
        cell = self._cell(task)
        done = frozenset() if cell is None else cell.items() & asked.keys()
        label, ids = self._seat.label, [sample.id for sample in samples]
        self._watch.begins(task_part(task.name), [label], len(asked))
        so_far = Results(cell, ids, epochs_of(task))
        self._watch.answers(task.name, label, so_far, whole=False)
        steps.advance(len(done))
        missing = {name: key for name, key in asked.items() if name not in done}
        question = Question(task, self._seat.variant, self._around)
        if cell is None:
            failed = dict.fromkeys(missing, self._given_up)
            steps.advance(len(missing))
        elif missing and task.method == "retrieve":
            failed = self._retrieve(task, missing, cell)
            steps.advance(len(missing))
        else:
            for name, (sample, epoch) in missing.items():
                result = self._result(question, sample, epoch)
                if isinstance(result, str):
                    failed[name] = result
                else:
                    cell.put_record(name, result.model_dump(exclude_defaults=True))
                steps.advance()
        results = Results(cell, ids, epochs_of(task), failed=failed)
        self._watch.answers(task.name, label, results, whole=True)
        # Reading a hundred thousand answers again takes seconds.
        if missing or not self._is_known:
            self._conclude(task, results, asked, failed)
        return results

    def _cell(self, task: Task) -> Cell | None:
        """Return where the answers are kept; None when the model cannot be loaded."""
        self._is_known = False
        if self._given_up:
            return None
        try:
            cell = self._seat.cell(task)
        except _FAILURES as error:
            if _is_final(error):
                raise
            self._give_up(error)
            return None
        if self._run is not None:
            label = self._seat.label
            self._is_known = self._run.place(label, task.name, cell.key)
        return cell

    def _result(
        self, question: Question, sample: Sample, epoch: int
    ) -> SampleResult | str:
        """Return what came of a sample, or why the model did not answer."""
        if self._given_up:
            return self._given_up
        try:
            try:
                result = question.ask(self._seat.subject, sample, epoch)
            except _FAILURES as error:
                if _is_final(error) or not self._seat.renew():
                    raise
                result = question.ask(self._seat.subject, sample, epoch)
        except _FAILURES as error:
            if _is_final(error):
                raise
            return self._failure(error)
        self._n_failed = 0
        return result

    def _retrieve(self, task: Task, missing: Missing, cell: Cell) -> dict[str, str]:
        """Rank for all samples at once: the corpus is embedded for them together."""
        from localkit.evals.scorers.retrieval import retrieve

        part = replace(task, samples=tuple(sample for sample, _ in missing.values()))
        try:
            results = retrieve(self._seat.subject, part, cancel=self._around.cancel)
        except Unsupported as error:
            why = short(error.one_line())
            results = [
                SampleResult(id=sample.id, unscored=why) for sample in part.samples
            ]
        except _FAILURES as error:
            if _is_final(error):
                raise
            return dict.fromkeys(missing, self._failure(error))
        for result in results:
            cell.put_record(
                name_of(result.id, result.epoch),
                result.model_dump(exclude_defaults=True),
            )
        return {}

    def _failure(self, error: Exception) -> str:
        self._n_failed += 1
        why = short(str(error))
        if self._n_failed >= _PATIENCE:
            self._give_up(error)
        elif self._run is not None:
            self._run.fail(f"{self._seat.label} failed: {why}")
        return why

    def _give_up(self, error: Exception) -> None:
        self._given_up = f"not asked: the model failed before: {short(str(error))}"
        if self._run is not None:
            label = self._seat.label
            self._run.fail(f"{label} was given up: {short(str(error))}")

    def _conclude(
        self,
        task: Task,
        results: Results,
        asked: Missing,
        failed: Mapping[str, str],
    ) -> None:
        if self._run is None:
            return
        summary = summarize_scored(scored_values(task, results, texts=False))
        n_missing = len({asked[name][0].id for name in failed})
        part = PartSummary.of(summary, n_missing)
        self._run.summarize(self._seat.label, task.name, part)


def _is_final(error: Exception) -> bool:
    """Whether it ends the run: somebody stopped it, or nothing can be stored."""
    return isinstance(error, Cancelled | DiskFull | StoreLocked)


def _names(task: Task, samples: Sequence[Sample]) -> Missing:
    epochs = epochs_of(task)
    names = {
        name_of(sample.id, epoch): (sample, epoch)
        for sample in samples
        for epoch in range(epochs)
    }
    if len(names) < len(samples) * epochs:
        msg = f"two answers of task {task.name} would have one name"
        raise DatasetInvalid(msg, hint="give every sample an id of its own without '#'")
    return names
