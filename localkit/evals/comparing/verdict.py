"""Which candidate to run, in words, by a rule that is printed with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.evals.comparing.detection import (
    ALPHA,
    alike_in_kl,
    open_question,
    points,
    told_by_tasks,
)
from localkit.evals.comparing.exclusion import TASK_LOSS, exclusion, judged_by_tasks
from localkit.evals.report import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.budget import Budget
    from localkit.evals.comparing.row import KldStep, Row

__all__ = ["ALPHA", "TASK_LOSS", "Verdict", "decide", "exclusion"]


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


def decide(
    rows: Sequence[Row],
    *,
    budget: Budget,
    max_kld: float,
    steps: Sequence[KldStep] = (),
    min_decode_per_s: float | None = None,
    max_loss: float | None = None,
) -> Verdict:
    """Pick one of ``rows``, whose ``excluded`` is filled, and say why.

    ``steps`` are the paired KL differences between neighbours in KL order. With
    ``min_decode_per_s`` speed is a budget: of those that are fast enough the closest
    is taken, not the fastest.
    """
    rule = _rule(rows, budget, max_kld, min_decode_per_s, max_loss)
    reference = next(row for row in rows if row.is_reference)
    told = (
        *alike_in_kl(steps),
        *told_by_tasks(rows, reference),
        *open_question(rows, TASK_LOSS if max_loss is None else max_loss),
    )
    able = [row for row in rows if row.excluded is None]
    if not able:
        return Verdict(None, _nothing_qualifies(rows, budget), told, rule)
    if min_decode_per_s is None:
        fastest = max(able, key=lambda row: row.decode_per_s)
        tied = [row for row in able if _as_fast(row, fastest)]
        pick = min(tied, key=_distance)
        tie = _tie_in_speed(pick, tied)
    else:
        closest = min(able, key=_distance)
        tied = [row for row in able if row is closest or _as_close(row, closest, steps)]
        pick = max(tied, key=lambda row: row.decode_per_s)
        tie = _tie_in_kl(pick, tied)
    reasons = (*tie, *_other_candidates(rows, able, pick, reference, max_kld), *told)
    return Verdict(pick.label, _headline(pick, reference, budget), reasons, rule)


def _rule(
    rows: Sequence[Row],
    budget: Budget,
    max_kld: float,
    min_decode_per_s: float | None,
    max_loss: float | None,
) -> str:
    by_kl = any(row.quality for row in rows) or not any(map(judged_by_tasks, rows))
    by_task = any(map(judged_by_tasks, rows))
    terms = [
        f"of the candidates that fit {budget} at a context of {budget.n_ctx} tokens "
        f"({budget.kv_type} KV cache)"
    ]
    if by_kl:
        terms.append(
            "whose mean KL divergence has a 95 % upper bound of at most "
            f"{max_kld:g} nats"
        )
    if by_task or max_loss is not None:
        names = dict.fromkeys(task.name for row in rows for task in row.tasks)
        whose = "whose" if max_loss is not None or not by_kl else "without KL, whose"
        terms.append(
            f"{whose} loss on {figures.listing(list(names)) or 'the tasks'} has a 95 % "
            f"upper bound of at most {100 * (max_loss or TASK_LOSS):g} points"
        )
    if min_decode_per_s is not None:
        terms.append(f"whose median decode is at least {min_decode_per_s:g} tok/s")
    best = "the lowest KL" if by_kl else "the smallest loss"
    prefer = (
        "take the fastest decode; among those that the paired repetitions cannot tell "
        f"from it (95 %), take {best}."
        if min_decode_per_s is None
        else f"take {best}; among those that the paired chunks cannot tell from it "
        "(95 %), take the fastest decode."
    )
    return f"Rule: {', and '.join(terms)}, {prefer}"


def _distance(row: Row) -> float:
    """Return what to order by: the reference is at zero whatever its own floor.

    KL where it was measured; behind all of these, the loss on the tasks.
    """
    if row.is_reference:
        return -math.inf
    if not math.isnan(row.kld):
        return row.kld
    if judged_by_tasks(row):
        losses = [-task.difference.value for task in row.tasks if task.difference]
        return 1e3 + sum(losses) / len(losses)
    return math.inf


def _as_fast(row: Row, fastest: Row) -> bool:
    return (
        row.speed is not None
        and fastest.speed is not None
        and row.speed.decode.keeps_up_with(fastest.speed.decode)
    )


def _as_close(row: Row, closest: Row, steps: Sequence[KldStep]) -> bool:
    return any(
        (step.closer, step.further) == (closest.label, row.label)
        and not step.told_apart
        for step in steps
    )


def _headline(pick: Row, reference: Row, budget: Budget) -> str:
    needed = figures.size(pick.memory.needed if pick.memory else None)
    return (
        f"Run {pick.label} ({pick.bits_per_weight:.2f} bits per weight, "
        f"{figures.size(pick.file_size)} file): it needs {needed} at "
        f"{budget.n_ctx} tokens of context, within {budget}; it decodes "
        f"{figures.rate(pick.decode_per_s)} tok/s, and {_quality(pick, reference)}."
    )


def _quality(pick: Row, reference: Row) -> str:
    if pick.is_reference:
        return "it is the reference itself"
    if pick.quality is not None:
        return (
            f"its mean KL divergence from {reference.label} is "
            f"{figures.pm(pick.quality.kld)} nats"
        )
    differences = [
        f"its score on {task.name} differs from that of {reference.label} by "
        f"{points(task.difference)}"
        for task in pick.tasks
        if task.difference
    ]
    return figures.listing(differences) or "its loss was not measured"


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


def _tie_in_speed(pick: Row, tied: Sequence[Row]) -> list[str]:
    others = [row for row in tied if row is not pick]
    if not others or pick.speed is None:
        return []
    n_reps = len(pick.speed.decode.samples)
    names = figures.listing([row.label for row in others])
    return [
        f"{names} cannot be told from it by decode speed ({n_reps} repetitions); "
        f"{pick.label} is the closest of these to the reference."
    ]


def _tie_in_kl(pick: Row, tied: Sequence[Row]) -> list[str]:
    others = [row.label for row in tied if row is not pick]
    if not others:
        return []
    return [
        f"{figures.listing(others)} cannot be told from it by KL divergence; "
        f"{pick.label} is the fastest of these."
    ]


def _other_candidates(
    rows: Sequence[Row],
    able: Sequence[Row],
    pick: Row,
    reference: Row,
    max_kld: float,
) -> list[str]:
    """Return the runner-up on each side: closer, and faster."""
    sentences = []
    closer = [row for row in rows if _closer(row, pick)]
    slower = [
        row for row in closer if row in able and row.decode_per_s < pick.decode_per_s
    ]
    if slower:
        best = max(slower, key=lambda row: row.decode_per_s)
        loss = 1 - best.decode_per_s / pick.decode_per_s
        quality = "the reference" if best is reference else f"KL {figures.kl(best.kld)}"
        sentences.append(
            f"Closer but slower: {best.label} ({quality}, "
            f"{figures.rate(best.decode_per_s)} tok/s, {100 * loss:.0f} % slower)."
        )
    too_big = [row for row in closer if _excluded_for(row, "memory")]
    if too_big:
        best = min(too_big, key=lambda row: row.memory.needed if row.memory else 0)
        sentences.append(f"Closer but too large: {best.label} ({_why(best)}).")
    too_slow = [row for row in closer if _excluded_for(row, "speed")]
    if too_slow:
        best = max(too_slow, key=lambda row: row.decode_per_s)
        sentences.append(f"Closer but too slow: {best.label} ({_why(best)}).")
    lossy = [
        row
        for row in rows
        if _excluded_for(row, "quality") and row.decode_per_s > pick.decode_per_s
    ]
    if lossy:
        best = min(lossy, key=_distance)
        gain = best.decode_per_s / pick.decode_per_s - 1
        sentences.append(
            f"Faster but outside the tolerance: {best.label} "
            f"({_loss(best, max_kld)}, {figures.rate(best.decode_per_s)} tok/s, "
            f"{100 * gain:.0f} % faster)."
        )
    return sentences


def _closer(row: Row, pick: Row) -> bool:
    """Whether a row is closer by KL; task scores are too coarse to say so."""
    return (row.is_reference or not math.isnan(row.kld)) and (
        _distance(row) < _distance(pick)
    )


def _loss(row: Row, max_kld: float) -> str:
    if row.quality is not None and row.kld_bound > max_kld:
        return f"KL {figures.pm(row.quality.kld)}"
    return _why(row)


def _excluded_for(row: Row, because: str) -> bool:
    return row.excluded is not None and row.excluded.because == because


def _why(row: Row) -> str:
    return row.excluded.text if row.excluded else ""
