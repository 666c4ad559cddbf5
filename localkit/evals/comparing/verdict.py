"""Which candidate to run, in words, by a rule that is printed with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.evals.comparing.row import Exclusion
from localkit.evals.report import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.budget import Budget
    from localkit.evals.comparing.row import KldStep, Row
    from localkit.evals.statistics.estimates import Estimate

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Verdict:
    """The candidate to run and why."""

    pick: str | None
    """Label of the candidate; None when none qualifies."""
    headline: str
    """One sentence: what to run, and its figures."""
    reasons: tuple[str, ...]
    """What stands on both sides of it, and what could not be told apart."""
    rule: str
    """How the pick was made."""

    @property
    def text(self) -> str:
        """The whole verdict without the rule."""
        return " ".join((self.headline, *self.reasons))


def exclusion(row: Row, *, budget: Budget, max_kld: float) -> Exclusion | None:
    """Return why the verdict may not take ``row``; None when it may."""
    if row.memory is None:
        return Exclusion("unmeasured", row.note or "memory not measured")
    if row.memory.needed > budget.n_bytes:
        return Exclusion("memory", f"needs {figures.size(row.memory.needed)}")
    if not row.is_reference:
        if math.isnan(row.kld_bound):
            return Exclusion("unmeasured", "KL not scored")
        if row.kld_bound > max_kld:
            return Exclusion("quality", f"KL up to {figures.kl(row.kld_bound)}")
    if math.isnan(row.decode_per_s):
        return Exclusion("unmeasured", "decode speed not measured")
    return None


def decide(
    rows: Sequence[Row],
    *,
    budget: Budget,
    max_kld: float,
    steps: Sequence[KldStep] = (),
) -> Verdict:
    """Pick one of ``rows``, whose ``excluded`` is filled, and say why.

    ``steps`` are the paired KL differences between neighbours in KL order.
    """
    rule = (
        f"Rule: of the candidates that fit {budget} at a context of "
        f"{budget.n_ctx} tokens ({budget.kv_type} KV cache), and whose mean KL "
        f"divergence has a 95 % upper bound of at most {max_kld:g} nats, take the "
        "fastest decode; among those that the paired repetitions cannot tell from it "
        "(95 %), take the lowest KL."
    )
    reference = next(row for row in rows if row.is_reference)
    able = [row for row in rows if row.excluded is None]
    if not able:
        headline = _nothing_qualifies(rows, budget)
        return Verdict(None, headline, _indistinct(rows, reference, steps), rule)
    fastest = max(able, key=lambda row: row.decode_per_s)
    tied = [row for row in able if _as_fast(row, fastest)]
    pick = min(tied, key=_distance)
    reasons = [
        *_tie(pick, tied),
        *_other_candidates(rows, able, pick, reference),
        *_indistinct(rows, reference, steps),
    ]
    return Verdict(pick.label, _headline(pick, reference, budget), tuple(reasons), rule)


def _distance(row: Row) -> float:
    """Return the KL to order by: the reference is at zero whatever its own floor."""
    return -math.inf if row.is_reference else row.kld


def _as_fast(row: Row, fastest: Row) -> bool:
    return (
        row.speed is not None
        and fastest.speed is not None
        and row.speed.decode.keeps_up_with(fastest.speed.decode)
    )


def _headline(pick: Row, reference: Row, budget: Budget) -> str:
    needed = figures.size(pick.memory.needed if pick.memory else None)
    quality = (
        "it is the reference itself"
        if pick.is_reference or pick.quality is None
        else f"its mean KL divergence from {reference.label} is "
        f"{figures.pm(pick.quality.kld)} nats"
    )
    return (
        f"Run {pick.label} ({pick.bits_per_weight:.2f} bits per weight, "
        f"{figures.size(pick.file_size)} file): it needs {needed} at "
        f"{budget.n_ctx} tokens of context, within {budget}; it decodes "
        f"{figures.rate(pick.decode_per_s)} tok/s, and {quality}."
    )


def _nothing_qualifies(rows: Sequence[Row], budget: Budget) -> str:
    fitting = [
        row for row in rows if row.memory and row.memory.needed <= budget.n_bytes
    ]
    scored = [row for row in fitting if not math.isnan(row.kld)]
    if scored:
        closest = min(scored, key=_distance)
        return (
            f"No candidate qualifies. The closest that fits {budget} is "
            f"{closest.label}: {_why(closest)}."
        )
    measured = [row for row in rows if row.memory]
    if fitting or not measured:
        reasons = "; ".join(f"{row.label}: {_why(row)}" for row in rows)
        return f"No candidate qualifies ({reasons})."
    smallest = min(measured, key=lambda row: row.memory.needed if row.memory else 0)
    return (
        f"No candidate fits {budget} at {budget.n_ctx} tokens of context. "
        f"The smallest is {smallest.label}: {_why(smallest)}."
    )


def _tie(pick: Row, tied: Sequence[Row]) -> list[str]:
    others = [row for row in tied if row is not pick]
    if not others or pick.speed is None:
        return []
    n_reps = len(pick.speed.decode.samples)
    names = figures.listing([row.label for row in others])
    return [
        f"{names} cannot be told from it by decode speed ({n_reps} repetitions); "
        f"{pick.label} is the closest of these to the reference."
    ]


def _other_candidates(
    rows: Sequence[Row], able: Sequence[Row], pick: Row, reference: Row
) -> list[str]:
    sentences = []
    closer = [row for row in able if _distance(row) < _distance(pick)]
    slower = [row for row in closer if row.decode_per_s < pick.decode_per_s]
    if slower:
        best = max(slower, key=lambda row: row.decode_per_s)
        loss = 1 - best.decode_per_s / pick.decode_per_s
        quality = "the reference" if best is reference else f"KL {figures.kl(best.kld)}"
        sentences.append(
            f"Closer but slower: {best.label} ({quality}, "
            f"{figures.rate(best.decode_per_s)} tok/s, {100 * loss:.0f} % slower)."
        )
    too_big = [
        row
        for row in rows
        if _excluded_for(row, "memory") and _distance(row) < _distance(pick)
    ]
    if too_big:
        best = min(too_big, key=lambda row: row.memory.needed if row.memory else 0)
        sentences.append(f"Closer but too large: {best.label} ({_why(best)}).")
    lossy = [
        row
        for row in rows
        if _excluded_for(row, "quality") and row.decode_per_s > pick.decode_per_s
    ]
    if lossy:
        best = min(lossy, key=_distance)
        gain = best.decode_per_s / pick.decode_per_s - 1
        quality = figures.pm(best.quality.kld) if best.quality else ""
        sentences.append(
            f"Faster but outside the tolerance: {best.label} (KL {quality}, "
            f"{figures.rate(best.decode_per_s)} tok/s, {100 * gain:.0f} % faster)."
        )
    return sentences


def _indistinct(
    rows: Sequence[Row], reference: Row, steps: Sequence[KldStep]
) -> tuple[str, ...]:
    sentences = [
        f"KL divergence does not tell {step.further} from {step.closer} "
        f"(paired difference {figures.interval(step.difference)})."
        for step in steps
        if not step.told_apart and not math.isnan(step.difference.value)
    ]
    tested = [
        row
        for row in rows
        if row is not reference and row.task and not math.isnan(row.task.p_holm)
    ]
    if not tested:
        return tuple(sentences)
    alike = [row for row in tested if row.task and row.task.p_holm > ALPHA]
    worse = [row for row in tested if row not in alike]
    n_items, name = max((row.task.n_items, row.task.name) for row in tested if row.task)
    if worse:
        found = figures.listing(
            [
                f"{row.label} ({_points(row.task.difference)})"
                for row in worse
                if row.task and row.task.difference
            ]
        )
        sentences.append(f"{name} tells apart from {reference.label}: {found}.")
    if alike:
        names = (
            figures.listing([row.label for row in alike]) if worse else "any of them"
        )
        least = min(row.task.p_holm for row in alike if row.task)
        sentences.append(
            f"On {name} ({n_items} items) no difference you could detect: "
            f"{names} against {reference.label} "
            f"(Holm-adjusted p ≥ {figures.p_value(least)}){_items_needed(alike)}."
        )
    return tuple(sentences)


def _points(difference: Estimate) -> str:
    value, low, high = (
        figures.signed(100 * share, 1)
        for share in (difference.value, difference.low, difference.high)
    )
    return f"{value} points, 95 % {low} to {high}"


def _items_needed(rows: Sequence[Row]) -> str:
    """Return how many items the widest difference seen would take to show."""
    open_ones = [row.task for row in rows if row.task and row.task.n_needed]
    if not open_ones:
        return ""
    widest = min(open_ones, key=lambda task: task.n_needed or 0)
    if widest.difference is None or not widest.n_needed:
        return ""
    seen = abs(100 * widest.difference.value)
    return (
        f"; to settle the widest one seen, {seen:.1f} points, "
        f"would take about {widest.n_needed:,} items"
    )


def _excluded_for(row: Row, because: str) -> bool:
    return row.excluded is not None and row.excluded.because == because


def _why(row: Row) -> str:
    return row.excluded.text if row.excluded else ""
