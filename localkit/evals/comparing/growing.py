"""Growing a task's sample until every candidate is told from the reference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.evals.report import figures
from localkit.evals.running.answers import answer_tasks
from localkit.evals.running.scoring import scored_values
from localkit.evals.statistics.estimates import LEVEL
from localkit.evals.statistics.sequential import decide_look, plan_looks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.comparing.family import Candidate
    from localkit.evals.comparing.plan import Plan
    from localkit.evals.running.bench import Bench
    from localkit.evals.statistics.scored import Scored
    from localkit.evals.statistics.sequential import Look
    from localkit.evals.subjects.protocol import Subject
    from localkit.evals.tasks.task import Task

_FIRST_LOOK = 20
"""Samples that a growing task begins with."""


@dataclass(frozen=True, slots=True)
class Grown:
    """How many samples it took, and what they settled."""

    n_items: int
    looks: Mapping[str, Look]
    """What settled each candidate first, by label; or the last look."""
    remarks: tuple[str, ...]


def grow(
    bench: Bench,
    plan: Plan,
    candidates: Sequence[Candidate | Subject],
    task: Task,
    reference: str,
) -> Grown:
    """Ask more samples, up to all, until each difference is settled.

    The error rate of 5 % is shared by the candidates (Bonferroni) and by the looks
    (see `statistics.sequential`).
    """
    precision = plan.request.precision or math.nan
    largest = len(task.samples)
    if largest < 2:
        return Grown(largest, {}, ())
    looks = plan_looks(largest, first=min(_FIRST_LOOK, largest))
    alpha = (1 - LEVEL) / max(1, len(candidates) - 1)
    found: dict[str, Look] = {}
    for number, n_items in enumerate(looks):
        results = answer_tasks(
            bench,
            candidates,
            [task],
            params=plan.scoring,
            limits={task.name: n_items},
            allow_code=plan.request.allow_code,
        )[task.name]
        base = scored_values(task, results[reference])
        # What is settled stays so: the error rate is that of the first stop.
        found |= {
            label: decide_look(
                _differences(scored_values(task, one), base),
                look=number,
                looks=looks,
                precision=precision,
                alpha=alpha,
            )
            for label, one in results.items()
            if label != reference and not (label in found and found[label].stop)
        }
        if all(look.stop for look in found.values()):
            break
    remarks = [
        _sentence(task.name, label, reference, look, precision)
        for label, look in found.items()
    ]
    return Grown(n_items, found, tuple(remarks))


def _differences(scored: Sequence[Scored], base: Sequence[Scored]) -> list[float]:
    """Return one difference an independent unit: a group's mean, or a sample's."""
    units: dict[tuple[bool, str], list[float]] = {}
    for one, other in zip(scored, base, strict=True):
        key = bool(one.group), one.group or one.id
        units.setdefault(key, []).append(one.value - other.value)
    kept = (
        [value for value in values if not math.isnan(value)]
        for values in units.values()
    )
    return [sum(values) / len(values) for values in kept if values]


def _sentence(
    task: str, label: str, reference: str, look: Look, precision: float
) -> str:
    n_items = look.difference.n
    ends = figures.points(look.difference)
    match look.why:
        case "told apart":
            return f"{task}: {n_items} samples tell {label} from {reference} ({ends})."
        case "alike within margin":
            return (
                f"{task}: {n_items} samples show {label} to be within "
                f"{100 * precision:g} points of {reference} ({ends})."
            )
        case _:
            needed = (
                f"; about {look.n_needed:,} would be needed" if look.n_needed else ""
            )
            return (
                f"{task}: all {n_items} samples leave open whether {label} and "
                f"{reference} differ by {100 * precision:g} points ({ends}){needed}."
            )
