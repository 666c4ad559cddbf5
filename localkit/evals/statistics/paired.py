"""Two models' scores of the same samples: the difference, its error and its test.

| values | groups | difference and interval | test |
|---|---|---|---|
| 0 and 1 | none | Bonett and Price | exact McNemar |
| 0 and 1 | some | cluster-robust (CR1), t | sign flips of whole groups |
| between | none | paired t | sign flips of samples |
| between | some | cluster-robust (CR1), t | sign flips of whole groups |
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from localkit.errors import NotComparable
from localkit.evals.statistics.alike import all_alike
from localkit.evals.statistics.estimates import (
    Estimate,
    cluster_mean,
    items_needed,
    mcnemar,
    paired_proportions,
    proportion,
    unscored,
)
from localkit.evals.statistics.permutation import sign_flip_p
from localkit.evals.statistics.power import items_needed_graded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from localkit.evals.statistics.scored import Scored

_FEW_MOVED = 8
"""Samples or groups that differ below which Student's t covers less than 93 %."""


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """One model's mean score."""

    estimate: Estimate
    n_items: int
    """Samples scored."""
    n_unscored: int


@dataclass(frozen=True, slots=True)
class PairedScores:
    """Two models' scores of the same samples, first minus second."""

    difference: Estimate
    """Mean of the differences, over the samples that both scored."""
    n_lost: int
    """Samples where the first scored less; right and wrong: wrong in the first only."""
    n_gained: int
    """Samples where the first scored more."""
    p_value: float
    """Two-sided; NaN when there is nothing to test, 1 when nothing differs."""
    test: str
    """Where `p_value` comes from."""
    n_items: int
    """Samples that both scored."""
    n_unscored: int
    """Samples that one or both did not."""
    n_needed: int | None
    """Samples that would tell a difference of this size apart; None: none would."""
    flips: tuple[str, ...]
    """Ids of the samples that differ: the greatest loss first, the gains after."""


def summarize_scored(scored: Sequence[Scored]) -> ScoreSummary:
    """Return the mean score over what was scored.

    Wilson's interval for right and wrong; else Student's t, by group where there are
    groups, cut to 0 to 1 for scores between.
    """
    kept = [one for one in scored if not math.isnan(one.value)]
    values = np.array([one.value for one in kept])
    groups = _independent([one.id for one in kept], [one.group for one in kept])
    n_groups = len(set(groups.tolist()))
    n_unscored = len(scored) - len(kept)
    if _binary(values) and n_groups == values.size:
        estimate = proportion(int(values.sum()), values.size)
    elif values.size > 1 and np.ptp(values) == 0:
        bounds = _bounds(values)
        estimate = all_alike(float(values[0]), n_groups, *bounds)
    else:
        estimate = _mean(values, groups, n_groups)
        low, high = _bounds(values)
        ends = np.clip((estimate.low, estimate.high), low, high).tolist()
        estimate = replace(estimate, low=ends[0], high=ends[1])
    return ScoreSummary(estimate, len(kept), n_unscored)


def compare_scored(a: Sequence[Scored], b: Sequence[Scored]) -> PairedScores:
    """Compare two models' scores of the same samples, pair by pair.

    A sample that is unscored on either side is left out of both, and counted.

    Raises:
        NotComparable: the two hold different samples, one twice, or put one into
            different groups.
    """
    pairs = _paired(a, b)
    both = [
        (x, y) for x, y in pairs if not (math.isnan(x.value) or math.isnan(y.value))
    ]
    ids = [x.id for x, _ in both]
    left = np.array([x.value for x, _ in both])
    right = np.array([y.value for _, y in both])
    apart = left - right
    groups = _independent(ids, [x.group or y.group for x, y in both])
    n_groups = len(set(groups.tolist()))
    gained, lost = int((apart > 0).sum()), int((apart < 0).sum())
    n = apart.size
    needed: int | None
    if n_groups == n and _binary(left) and _binary(right):
        difference = paired_proportions(gained, lost, n)
        p_value = mcnemar(gained, lost) if n else math.nan
        test = "exact McNemar"
        needed = items_needed(gained, lost, n)
    else:
        unit = "samples" if n_groups == n else "groups"
        difference = _mean(apart, groups, n_groups)
        needed = items_needed_graded(difference.se * math.sqrt(n), difference.value)
        if n_groups > 1 and np.ptp(apart) == 0:
            bound = _bounds(np.concatenate([left, right]))[1]
            difference = all_alike(float(apart[0]), n_groups, -bound, bound)
        test = f"sign flips of {unit}"
        sums = np.bincount(groups, weights=apart)
        p_value = sign_flip_p(sums) if n_groups > 1 else math.nan
        n_moved = int(np.count_nonzero(sums))
        few = f"; only {n_moved} differ" if n_moved < _FEW_MOVED else ""
        words = f"paired, {difference.method}; {test}{few}"
        difference = replace(difference, method=words)
    order = sorted(np.flatnonzero(apart).tolist(), key=lambda i: float(apart[i]))
    return PairedScores(
        difference=difference,
        n_lost=lost,
        n_gained=gained,
        p_value=p_value,
        test=test,
        n_items=n,
        n_unscored=len(pairs) - n,
        n_needed=needed,
        flips=tuple(ids[i] for i in order),
    )


def _paired(a: Sequence[Scored], b: Sequence[Scored]) -> list[tuple[Scored, Scored]]:
    left, right = {one.id: one for one in a}, {one.id: one for one in b}
    if len(left) < len(a) or len(right) < len(b) or left.keys() != right.keys():
        only = len(left.keys() ^ right.keys())
        repeated = len(a) - len(left) + len(b) - len(right)
        msg = (
            f"{len(a)} scores and {len(b)} do not pair: {only} samples on one side "
            f"only, {repeated} repeated"
        )
        raise NotComparable(msg, hint="score the same samples, once each")
    for id_, one in left.items():
        other = right[id_]
        if one.group and other.group and one.group != other.group:
            msg = f"sample '{id_}' is in group '{one.group}' and in '{other.group}'"
            raise NotComparable(msg, hint="give both runs the same groups")
    return [(one, right[id_]) for id_, one in left.items()]


def _independent(ids: Sequence[str], groups: Sequence[str]) -> NDArray[np.intp]:
    """Number what is independent: a group, or a sample that stands alone."""
    numbers: dict[tuple[bool, str], int] = {}
    keys = [(bool(group), group or id_) for id_, group in zip(ids, groups, strict=True)]
    found = [numbers.setdefault(key, len(numbers)) for key in keys]
    return np.array(found, dtype=np.intp)


def _mean(values: NDArray[np.float64], groups: NDArray[np.intp], n: int) -> Estimate:
    if not values.size:
        return unscored("no scored samples")
    estimate = cluster_mean(values, groups, unit="groups")
    if n == values.size > 1:
        return replace(estimate, method=f"t({n - 1}) over {n} samples")
    return estimate


def _binary(values: NDArray[np.float64]) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _bounds(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of the scale: 0 to 1, wider where a score is outside."""
    return float(min(0.0, values.min(initial=0))), float(max(1, values.max(initial=1)))
