"""An evaluation as plain values: what a notebook keeps beside its table."""

from __future__ import annotations

import math
from contextlib import closing
from typing import TYPE_CHECKING, Any

from localkit.errors import ResultsInvalid
from localkit.evals.comparing.record import plain
from localkit.evals.running.scoring import value_of
from localkit.evals.runs.database import Runs
from localkit.evals.runs.listing import names_of, results_of

if TYPE_CHECKING:
    from localkit.evals.runs.evaluation import Evaluation
    from localkit.evals.runs.listing import Part

MAX_SAMPLES = 1000
"""Samples of a part whose scores are kept one by one: 40 KiB of ids and numbers."""


def evaluation_record(evaluation: Evaluation) -> dict[str, Any]:
    """Return scores, digests and environments as strict JSON values.

    ``samples`` has the score of each answer by the sample's id, so that two runs can
    be compared pair by pair; it is None where there are more than `MAX_SAMPLES`.
    """
    parts = []
    with closing(Runs(evaluation.path)) as runs:
        for part in evaluation.run.parts:
            key = part.label, part.task.name
            score = evaluation.scores[key]
            parts.append(
                {
                    "label": part.label,
                    "model": part.model,
                    "weights_digest": part.weights_digest,
                    "task": {
                        "name": part.task.name,
                        "digest": part.task.digest,
                        "n_items": part.n_samples,
                    },
                    "metric": part.task.metric,
                    "score": {
                        "value": score.value,
                        "low": score.low,
                        "high": score.high,
                        "se": score.se,
                    },
                    "environment": dict(evaluation.environments.get(key, {})),
                    "samples": _samples(runs, part),
                }
            )
    found: dict[str, Any] = plain({"run": evaluation.id, "parts": parts})
    return found


def _samples(runs: Runs, part: Part) -> dict[str, float | None] | None:
    if part.n_samples > MAX_SAMPLES:
        return None
    try:
        results = list(results_of(runs, part, names_of(runs, part)))
    except ResultsInvalid:
        return None  # the table, which is what is shown, does not need them
    values = {
        f"{one.id}#{one.epoch}" if one.epoch else one.id: value_of(part.task, one)
        for one in results
    }
    return {
        name: None if math.isnan(value) else value for name, value in values.items()
    }
