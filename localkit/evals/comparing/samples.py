"""The answers behind a comparison; they stay in the results database."""

from __future__ import annotations

import math
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from localkit.evals.running.scoring import scored_of
from localkit.evals.runs.database import Runs
from localkit.evals.runs.listing import find_run, names_of, results_of
from localkit.evals.scorers.choices import ItemScore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from localkit.evals.running.result import SampleResult
    from localkit.evals.runs.listing import Part
    from localkit.evals.runs.record import TaskRecord
    from localkit.evals.runs.results import Results
    from localkit.evals.tasks.sample import Sample
    from localkit.evals.tasks.task import Task

FLIP = 0.5
"""Difference of a sample's score from which its answer has flipped."""


class Scores(NamedTuple):
    """What every candidate got in a task; the n-th of each is of one sample."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    """The reference first."""
    values: Mapping[str, Sequence[float]]
    """By label; NaN: unscored."""
    said: Mapping[str, Sequence[int]]
    """By label; equal numbers: the same answer."""


class Choice(NamedTuple):
    """One choice of a sample, as one candidate finds it."""

    logprob: float
    """Σ ln p of its tokens, nats."""
    score: float
    """The same over what the task divides by: what choices are ranked by."""


class Given(NamedTuple):
    """What one candidate made of one sample."""

    label: str
    value: float
    """NaN: unscored."""
    answer: str
    why: str
    """Why it is unscored, or what the scorer said."""
    choices: tuple[Choice, ...]
    """One a choice, where log-likelihoods are compared."""
    values: tuple[float, ...]
    """One an epoch, where there are several; the answer is of the first not right."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Where the answers of a comparison are, and what was asked."""

    path: Path
    """The results database."""
    run: str
    """Id of the run that lists them."""
    tasks: tuple[Task, ...]

    def scores(self, task: str) -> Scores:
        """Return what everybody got in a task; reads all answers once.

        Raises:
            UsageError: the run was removed.
            ResultsInvalid: an answer is damaged.
        """
        with self._parts(task) as parts:
            values: dict[str, list[float]] = {}
            said: dict[str, list[int]] = {}
            ids: tuple[str, ...] = ()
            for label, (record, results, names) in parts.items():
                ids = names
                scored = list(scored_of(record, results, groups={}))
                values[label] = [one.value for one in scored]
                # Texts of a hundred thousand answers are not held.
                said[label] = [hash(one.answer) for one in scored]
        return Scores(ids, tuple(values), values, said)

    def given(self, task: str, index: int) -> list[Given]:
        """Return what each candidate made of the n-th sample; raises as `scores`."""
        (found,) = self.several(task, [index])
        return found

    def several(self, task: str, indices: Sequence[int]) -> list[list[Given]]:
        """Return the same of some samples; raises as `scores`."""
        by_id = self.questions(task)
        found: list[list[Given]] = [[] for _ in indices]
        with self._parts(task) as parts:
            for label, (record, results, _) in parts.items():
                n = record.epochs
                for place, index in enumerate(indices):
                    asked = results[index * n : (index + 1) * n]
                    sample = by_id.get(asked[0].id)
                    found[place].append(_given(label, record, asked, sample))
        return found

    def questions(self, task: str) -> dict[str, Sample]:
        """Return what was asked, by id."""
        return {sample.id: sample for sample in self._task(task).samples}

    def _task(self, name: str) -> Task:
        return next(one for one in self.tasks if one.name == name)

    @contextmanager
    def _parts(
        self, task: str
    ) -> Iterator[dict[str, tuple[TaskRecord, Results, tuple[str, ...]]]]:
        """Give each candidate's record, results and sample ids of a task."""
        with closing(Runs(self.path)) as runs:
            yield {
                part.label: _open(runs, part)
                for part in find_run(runs, self.run).parts
                if part.task.name == task
            }


def _open(runs: Runs, part: Part) -> tuple[TaskRecord, Results, tuple[str, ...]]:
    names = names_of(runs, part)
    return part.task, results_of(runs, part, names), names.ids


def _given(
    label: str, record: TaskRecord, asked: Sequence[SampleResult], sample: Sample | None
) -> Given:
    def text(result: SampleResult) -> str:
        if record.method != "choices" or result.unscored is not None:
            return result.answer
        index = _item(result).prediction(record.norm)
        if index is None or sample is None or index >= len(sample.choices):
            return "" if index is None else f"choice {index + 1}"
        return sample.choices[index]

    (scored,) = scored_of(record, asked, groups={}, text=text)
    each = [next(scored_of(record.once(), [one], groups={})).value for one in asked]
    return Given(
        label=label,
        value=scored.value,
        answer=scored.answer,
        why=scored.why,
        choices=tuple(
            Choice(one.logprob, one.score(record.norm)) for one in asked[0].choices
        ),
        values=tuple(each) if len(each) > 1 else (),
    )


def _item(result: SampleResult) -> ItemScore:
    return ItemScore(id=result.id, gold=result.gold, choices=result.choices)


def is_flip(value: float, base: float) -> bool:
    """Whether one of two answers is right and the other wrong."""
    return not math.isnan(value + base) and abs(value - base) >= FLIP
