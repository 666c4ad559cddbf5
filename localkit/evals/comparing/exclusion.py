"""Why the verdict may not take a candidate: memory, loss, speed, or not measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from localkit.evals.comparing.row import Exclusion
from localkit.evals.report import figures

if TYPE_CHECKING:
    from localkit.evals.comparing.budget import Budget
    from localkit.evals.comparing.row import Row

TASK_LOSS = 0.05
"""Loss of task score to accept where no KL was measured and nobody named one."""


def exclusion(
    row: Row,
    *,
    budget: Budget,
    max_kld: float,
    min_decode_per_s: float | None = None,
    max_loss: float | None = None,
) -> Exclusion | None:
    """Return why the verdict may not take ``row``; None when it may.

    ``max_loss`` is the share of a task's score that may be lost: 0.05 is 5 points.
    It has to lie outside the paired 95 % interval, so that too few items lead to
    "not shown" and never to a lucky pass. A row without KL is held to it always.
    """
    if row.memory is None:
        return Exclusion("unmeasured", row.note or "memory not measured")
    if row.memory.needed > budget.n_bytes:
        return Exclusion("memory", f"needs {figures.size(row.memory.needed)}")
    if not row.is_reference:
        loss = _kl(row, max_kld) or _tasks(row, max_loss)
        if loss is not None:
            return loss
    if math.isnan(row.decode_per_s):
        return Exclusion("unmeasured", "decode speed not measured")
    if min_decode_per_s is not None and row.decode_per_s < min_decode_per_s:
        return Exclusion("speed", f"decodes {figures.rate(row.decode_per_s)} tok/s")
    return None


def judged_by_tasks(row: Row) -> bool:
    """Whether a row has no KL, but a task that it shares with the reference."""
    return row.quality is None and any(
        task.difference and not math.isnan(task.difference.low) for task in row.tasks
    )


def _kl(row: Row, max_kld: float) -> Exclusion | None:
    if judged_by_tasks(row):
        return None
    if math.isnan(row.kld_bound):
        return Exclusion("unmeasured", "KL not scored")
    if row.kld_bound > max_kld:
        return Exclusion("quality", f"KL up to {figures.kl(row.kld_bound)}")
    return None


def _tasks(row: Row, max_loss: float | None) -> Exclusion | None:
    if max_loss is None:
        if not judged_by_tasks(row):
            return None
        max_loss = TASK_LOSS
    if not row.tasks:
        return Exclusion("unmeasured", "no task asked")
    for task in row.tasks:
        if task.difference is None or math.isnan(task.difference.low):
            return Exclusion("unmeasured", f"{task.name} not scored")
    loss, name = max(
        (-task.difference.low, task.name) for task in row.tasks if task.difference
    )
    if loss > max_loss:
        lost = figures.signed(100 * loss, 1)
        return Exclusion("quality", f"{name}: loses up to {lost} points")
    return None
