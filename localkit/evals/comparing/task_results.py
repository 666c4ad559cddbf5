"""Each candidate's score on one task, and its paired test against the reference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from localkit.errors import NotComparable
from localkit.evals.comparing.row import TaskResult
from localkit.evals.statistics.estimates import holm
from localkit.evals.statistics.paired import compare_scored, summarize_scored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.statistics.scored import Scored


def task_results(
    task_name: str,
    metric: str,
    scored: Mapping[str, Sequence[Scored]],
    reference_label: str,
) -> dict[str, TaskResult]:
    """Return the result of every label in ``scored``, p-values adjusted by Holm.

    Raises:
        NotComparable: the reference has no scores, or a candidate's are not of the
            same samples.
    """
    if reference_label not in scored:
        msg = f"{task_name} has no scores of the reference {reference_label}"
        raise NotComparable(msg, hint="run the task on the reference as well")
    reference = scored[reference_label]
    paired = {
        label: compare_scored(values, reference)
        for label, values in scored.items()
        if label != reference_label
    }
    adjusted = holm([pair.p_value for pair in paired.values()])
    p_holm = dict(zip(paired, adjusted, strict=True))
    results = {}
    for label, values in scored.items():
        summary = summarize_scored(values)
        pair = paired.get(label)
        results[label] = TaskResult(
            name=task_name,
            score=summary.estimate,
            n_items=summary.n_items,
            n_unscored=summary.n_unscored,
            difference=pair.difference if pair else None,
            n_lost=pair.n_lost if pair else 0,
            n_gained=pair.n_gained if pair else 0,
            p_value=pair.p_value if pair else math.nan,
            p_holm=p_holm.get(label, math.nan),
            n_needed=pair.n_needed if pair else None,
            metric=metric,
        )
    return results
