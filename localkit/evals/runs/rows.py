"""The answers of a run as flat rows: one each, the same columns in every export."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from localkit.evals.running.scoring import groups_of, scored_of, value_of
from localkit.evals.runs.listing import names_of, results_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.evals.runs.database import Runs
    from localkit.evals.runs.listing import Run

COLUMNS = (
    "run",
    "model",
    "ref",
    "weights_digest",
    "task",
    "task_digest",
    "sample",
    "epoch",
    "group",
    "metric",
    "score",
    "answer",
    "gold",
    "unscored",
    "finish_reason",
    "n_prompt",
    "n_generated",
    "ttft_s",
    "total_s",
    "notes",
)
"""Columns that every row has. The scorers of tasks that have more than one come after
these, by name, as ``score_NAME``."""


def rows_of(runs: Runs, run: Run) -> Iterator[dict[str, Any]]:
    """Yield a row an answer; a score is None where there is none.

    Raises:
        ResultsInvalid: an answer is damaged.
    """
    for part in run.parts:
        names = names_of(runs, part)
        groups = groups_of(names)
        for result in results_of(runs, part, names):
            value = value_of(part.task, result)
            shown = next(scored_of(part.task.once(), [result], groups={}))
            row: dict[str, Any] = {
                "run": run.id,
                "model": part.label,
                "ref": part.model,
                "weights_digest": part.weights_digest,
                "task": part.task.name,
                "task_digest": part.task.digest,
                "sample": result.id,
                "epoch": result.epoch,
                "group": groups.get(result.id, ""),
                "metric": part.task.answer_metric,
                "score": None if math.isnan(value) else value,
                "answer": shown.answer,
                "gold": None if result.gold < 0 else result.gold,
                "unscored": shown.why if math.isnan(value) else "",
                "finish_reason": result.finish_reason,
                "n_prompt": result.n_prompt,
                "n_generated": result.n_generated,
                "ttft_s": result.ttft_s,
                "total_s": result.total_s,
                "notes": "; ".join(result.notes),
            }
            if len(part.task.scorers) > 1:
                for name in part.task.scorers:
                    score = result.scores.get(name)
                    row[f"score_{name}"] = score.value if score else None
            yield row
