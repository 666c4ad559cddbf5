"""What answers are worth, in the one form that statistics read."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from localkit.evals.runs.record import TaskRecord
from localkit.evals.scorers.choices import ItemScore
from localkit.evals.statistics.scored import Scored
from localkit.evals.tasks.reduction import reduce_epochs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from localkit.evals.running.result import SampleResult
    from localkit.evals.runs.record import SampleNames
    from localkit.evals.tasks.sample import Sample
    from localkit.evals.tasks.task import Task


def scored_values(
    task: Task,
    results: Iterable[SampleResult],
    *,
    scorer: str = "",
    texts: bool = True,
) -> list[Scored]:
    """Return what each sample of ``task`` got, its epochs put together.

    Args:
        task: Gives the samples' groups, and the texts of choices.
        results: The epochs of a sample side by side.
        scorer: One of the task's scorers in place of the first.
        texts: With the answers for a reader; without, a hundred thousand are small.
    """
    samples = {sample.id: sample for sample in task.samples}
    record = TaskRecord.of(task)

    def text(result: SampleResult) -> str:
        if not texts:
            return ""
        return _choice_text(record, samples.get(result.id), result)

    groups = {sample.id: sample.group for sample in task.samples if sample.group}
    return list(scored_of(record, results, groups=groups, scorer=scorer, text=text))


def scored_of(
    record: TaskRecord,
    results: Iterable[SampleResult],
    *,
    groups: Mapping[str, str],
    scorer: str = "",
    text: Callable[[SampleResult], str] | None = None,
) -> Iterator[Scored]:
    """Yield what each sample got, as `scored_values`, of a stored task.

    Args:
        record: Says how values come about.
        results: The epochs of a sample side by side.
        groups: By sample id; those that are not there stand alone.
        scorer: One of the scorers in place of the first.
        text: Returns the answer of a result for a reader.
    """
    shown = text or (lambda result: _choice_text(record, None, result))
    for id_, epochs in itertools.groupby(results, key=lambda result: result.id):
        asked = list(epochs)
        values = [value_of(record, result, scorer=scorer) for result in asked]
        value = reduce_epochs(values, reduction=record.reduction, k=record.k)
        # Of several answers, one that shows why: the first that is not right.
        at = next((i for i, one in enumerate(values) if not one >= 1), 0)
        yield Scored(
            id=id_,
            value=value,
            answer=shown(asked[at]),
            why=_why(record, asked[at], scorer),
            group=groups.get(id_, ""),
        )


def value_of(record: TaskRecord, result: SampleResult, *, scorer: str = "") -> float:
    """Return what one answer got: 0 to 1, NaN where it is unscored."""
    if result.unscored is not None:
        return math.nan
    if record.method == "choices":
        correct = _as_item(result).correct(record.norm)
        return math.nan if correct is None else float(correct)
    score = result.scores.get(scorer or main_scorer(record, result))
    return math.nan if score is None or score.value is None else score.value


def main_scorer(record: TaskRecord, result: SampleResult) -> str:
    """Return the name of the score that is the task's."""
    if record.scorers:
        return record.scorers[0]
    return next(iter(result.scores), "")


def groups_of(names: SampleNames) -> dict[str, str]:
    """Return the group of each sample that has one."""
    return {
        id_: group for id_, group in zip(names.ids, names.groups, strict=False) if group
    }


def _as_item(result: SampleResult) -> ItemScore:
    return ItemScore(
        id=result.id,
        gold=result.gold,
        choices=result.choices,
        unscored=result.unscored,
    )


def _why(record: TaskRecord, result: SampleResult, scorer: str) -> str:
    if result.unscored is not None:
        return result.unscored
    score = result.scores.get(scorer or main_scorer(record, result))
    return score.why if score else ""


def _choice_text(
    record: TaskRecord, sample: Sample | None, result: SampleResult
) -> str:
    """Return the answer, or the choice that the model finds likeliest."""
    if record.method != "choices" or result.unscored is not None:
        return result.answer
    index = _as_item(result).prediction(record.norm)
    if index is None:
        return ""
    if sample is not None and index < len(sample.choices):
        return sample.choices[index]
    return f"choice {index + 1}"
