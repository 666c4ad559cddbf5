"""What a run of lm-eval found: its figures, each with our interval."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localkit.evals.harnesses.lm_eval.intervals import estimate
from localkit.evals.statistics.estimates import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence
    from pathlib import Path

    import pandas as pd

_NO_METRIC = ("alias", "name", "sample_len", "sample_count")


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of one task or group."""

    task: str
    metric: str
    filter: str
    """What was made of the answers before they were scored; ``none``: nothing."""
    estimate: Estimate
    """The value is lm-eval's own; a group has no interval."""
    n_shot: int | None
    """Examples before each question; None where tasks of a group differ."""
    higher_is_better: bool | None
    is_group: bool = False


@dataclass(frozen=True, slots=True)
class LmEvalRun:
    """A finished run. A notebook shows its table."""

    model: str
    digest: str
    """sha256 of the weights."""
    figures: tuple[Figure, ...]
    results: Mapping[str, Any] = field(repr=False)
    """lm-eval's own record, standard errors filled in."""
    samples: Mapping[str, Sequence[Mapping[str, Any]]] = field(repr=False)
    """By task, as lm-eval logs them."""
    files: tuple[Path, ...] = ()
    """What was written: results first, then samples."""
    notes: tuple[str, ...] = ()
    """What a reader must know: prompts or answers that were cut."""

    def to_frame(self) -> pd.DataFrame:
        """Return one row a figure."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "task": one.task,
                    "filter": one.filter,
                    "n_shot": one.n_shot,
                    "metric": one.metric,
                    "value": one.estimate.value,
                    "low": one.estimate.low,
                    "high": one.estimate.high,
                    "n": one.estimate.n,
                    "method": one.estimate.method,
                }
                for one in self.figures
            ]
        )


def figures(
    results: Mapping[str, Any],
    samples: Mapping[str, Sequence[Mapping[str, Any]]],
    tasks: Mapping[str, Any],
) -> tuple[Figure, ...]:
    """Return every metric of ``results``, with intervals from ``samples``.

    Args:
        results: What lm-eval returned.
        samples: What it logged, by task.
        tasks: Its task objects, which know how values become a metric.
    """
    found = []
    for name, metrics in results["results"].items():
        for key in sorted(metrics):
            metric, comma, kind = key.partition(",")
            if not comma or metric in _NO_METRIC or metric.endswith("_stderr"):
                continue
            value = float(metrics[key])
            task = tasks.get(name)
            found.append(
                Figure(
                    task=name,
                    metric=metric,
                    filter=kind,
                    estimate=(
                        _no_interval(value, "a group")
                        if task is None
                        else _estimate(value, metric, kind, samples[name], task)
                    ),
                    n_shot=results["n-shot"].get(name),
                    higher_is_better=results["higher_is_better"]
                    .get(name, {})
                    .get(metric),
                    is_group=task is None,
                )
            )
    return tuple(found)


def fill_errors(results: MutableMapping[str, Any], found: Sequence[Figure]) -> None:
    """Put our standard errors where lm-eval has its own, and the intervals beside."""
    intervals: dict[str, dict[str, Any]] = {}
    for one in found:
        if one.is_group or math.isnan(one.estimate.se):
            continue
        metrics = results["results"][one.task]
        metrics[f"{one.metric}_stderr,{one.filter}"] = one.estimate.se
        intervals.setdefault(one.task, {})[f"{one.metric},{one.filter}"] = {
            "low": one.estimate.low,
            "high": one.estimate.high,
            "n": one.estimate.n,
            "method": one.estimate.method,
        }
    results["localkit_intervals"] = intervals


def _estimate(
    value: float,
    metric: str,
    kind: str,
    samples: Sequence[Mapping[str, Any]],
    task: Any,
) -> Estimate:
    values = [one[metric] for one in samples if one["filter"] == kind and metric in one]
    aggregation = task.aggregation().get(metric)
    if aggregation is None or not values:
        return _no_interval(value, "no values of single samples")
    try:
        return estimate(values, aggregation)
    except (TypeError, ValueError):
        return _no_interval(value, "values of single samples are no numbers")


def _no_interval(value: float, why: str) -> Estimate:
    return Estimate(value, math.nan, math.nan, math.nan, 0, f"no interval: {why}")
