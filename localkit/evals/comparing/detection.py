"""What text and tasks tell apart, what they do not, and what it would take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from localkit.evals.comparing.exclusion import TASK_LOSS, judged_by_tasks
from localkit.evals.report import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.row import KldStep, Row, TaskResult
    from localkit.evals.statistics.estimates import Estimate

ALPHA = 0.05
_Z = 1.959964
"""95 % of a normal distribution lie within."""
_Z_POWER = 0.841621
"""80 % lie below: the chance that the items named will settle it."""


def alike_in_kl(steps: Sequence[KldStep]) -> list[str]:
    """Name neighbours in KL order whose paired difference includes zero."""
    return [
        f"KL divergence does not tell {step.further} from {step.closer} "
        f"(paired difference {figures.interval(step.difference)})."
        for step in steps
        if not step.told_apart and not math.isnan(step.difference.value)
    ]


def told_by_tasks(rows: Sequence[Row], reference: Row) -> list[str]:
    """Say of every task which candidates it tells from the reference, and which not."""
    names = dict.fromkeys(task.name for row in rows for task in row.tasks)
    return [
        sentence
        for name in names
        for sentence in _one_task(name, rows, reference.label)
    ]


def open_question(rows: Sequence[Row], max_loss: float) -> list[str]:
    """Say how many items would show that the fastest excluded one loses no more.

    Of candidates that are judged by tasks and were excluded without a detected loss.
    """
    candidates = [
        (row, task)
        for row in rows
        if row.excluded and row.excluded.because == "quality" and judged_by_tasks(row)
        for task in row.tasks
        if task.difference and -task.difference.low > max_loss
        if not task.p_holm <= ALPHA
    ]
    if not candidates:
        return []
    row, task = max(
        candidates, key=lambda pair: (_speed(pair[0]), _items_for(pair[1], max_loss))
    )
    n_needed = _items_for(task, max_loss)
    return [
        f"Whether {row.label} loses at most {100 * max_loss:g} points on {task.name} "
        f"is open at n={task.n_items:,}: if the two are equal, about {n_needed:,} "
        "items would show it."
    ]


def points(difference: Estimate) -> str:
    """Return a difference of scores in points with its interval, as a phrase."""
    value, low, high = (
        figures.signed(100 * share, 1)
        for share in (difference.value, difference.low, difference.high)
    )
    return f"{value} points, 95 % {low} to {high}"


def _one_task(name: str, rows: Sequence[Row], reference: str) -> list[str]:
    tested = [
        (row, task, task.difference)
        for row in rows
        if not row.is_reference
        for task in row.tasks
        if task.name == name and task.difference and not math.isnan(task.p_holm)
    ]
    if not tested:
        return []
    differing = [each for each in tested if each[1].p_holm <= ALPHA]
    alike = [each for each in tested if each[1].p_holm > ALPHA]
    sentences = []
    if differing:
        found = figures.listing(
            [f"{row.label} ({points(difference)})" for row, _, difference in differing]
        )
        sentences.append(f"{name} tells apart from {reference}: {found}.")
    if alike:
        n_items = max(task.n_items for _, task, _ in tested)
        names = [row.label for row, _, _ in alike]
        who = figures.listing(names) if differing else "any of them"
        least = min(task.p_holm for _, task, _ in alike)
        loss = max(-difference.low for _, _, difference in alike)
        possible = (
            f"; a loss of up to {100 * loss:.1f} points stays possible"
            if loss > 0
            else ""
        )
        # For the others `open_question` says what it would take.
        by_kl = [task for row, task, _ in alike if not judged_by_tasks(row)]
        sentences.append(
            f"On {name} no difference you could detect at n={n_items:,}: {who} against "
            f"{reference} (Holm-adjusted p ≥ {figures.p_value(least)}{possible})"
            f"{_items_needed(by_kl)}."
        )
    return sentences


def _items_needed(tasks: Sequence[TaskResult]) -> str:
    """Return how many items the difference nearest to showing would take.

    Where nothing leans either way, what a difference of `TASK_LOSS` would take.
    """
    leaning = [
        task
        for task in tasks
        if task.n_needed and task.difference and task.difference.value
    ]
    if not leaning:
        if not tasks:
            return ""
        least = max(_items_for(task, TASK_LOSS) for task in tasks)
        return (
            f"; one of {100 * TASK_LOSS:g} points would show with about {least:,} items"
        )
    widest = min(leaning, key=lambda task: task.n_needed or 0)
    seen = abs(100 * widest.difference.value) if widest.difference else math.nan
    return (
        f"; to settle the widest one seen, {seen:.1f} points, "
        f"would take about {widest.n_needed:,} items"
    )


def _items_for(task: TaskResult, difference: float) -> int:
    """Return the items after which a paired interval excludes ``difference``, 80 %.

    ``((z_α/2 + z_β) · sd / difference)²``, with the standard deviation of an item's
    difference read off the interval: the standard error is 0 where nothing flipped.
    """
    paired = task.difference
    if paired is None:
        return 0
    sd = (paired.high - paired.low) / (2 * _Z) * math.sqrt(task.n_items)
    return max(task.n_items, math.ceil(((_Z + _Z_POWER) * sd / difference) ** 2))


def _speed(row: Row) -> float:
    return -math.inf if math.isnan(row.decode_per_s) else row.decode_per_s
