"""Comparisons and evaluations against their saved selves: bands by kind of figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.regression.conditions import machines, weights
from localkit.regression.finding import Finding, Rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localkit.regression.records import (
        ComparisonRecord,
        EstimateRecord,
        EvaluationRecord,
        FlipRecord,
        Named,
        PartRecord,
        RowRecord,
        TaskRecord,
    )


def judge_comparison(
    saved: ComparisonRecord, fresh: ComparisonRecord, rules: Rules
) -> Iterator[Finding]:
    """Yield how every figure of a comparison stands to the saved one."""
    apart = [
        *_unlike("text", saved.setup.corpora, fresh.setup.corpora),
        *_unlike("task", saved.setup.tasks, fresh.setup.tasks),
    ]
    if apart:
        effort = saved.setup.effort, fresh.setup.effort
        if effort[0] != effort[1]:
            apart.insert(0, f"effort {effort[0]} → {effort[1]} (LOCALKIT_EFFORT)")
        words = f"saved and fresh do not measure the same: {'; '.join(apart)}"
        yield Finding("changed", words)
        return
    moved = machines(saved.setup.fingerprint, fresh.setup.fingerprint)
    if moved:
        yield Finding("noted", "; ".join(map(str, moved)))
    now = {row.label: row for row in fresh.rows}
    before = {row.label for row in saved.rows}
    for label in (label for label in now if label not in before):
        yield Finding("changed", f"{label} is new")
    for row in saved.rows:
        if row.label not in now:
            yield Finding("changed", f"{row.label} is no longer compared")
            continue
        flips = (
            [one for one in saved.flips if one.label == row.label],
            [one for one in fresh.flips if one.label == row.label],
        )
        yield from _judge_row(row, now[row.label], flips, rules)


def judge_evaluation(
    saved: EvaluationRecord, fresh: EvaluationRecord, rules: Rules
) -> Iterator[Finding]:
    """Yield how every score of an evaluation stands to the saved one."""
    now = {(part.label, part.task.name): part for part in fresh.parts}
    for part in saved.parts:
        name = f"{part.label} in {part.task.name}"
        found = now.get((part.label, part.task.name))
        if found is None:
            yield Finding("changed", f"{name} was not asked")
            continue
        yield from _same_weights(
            part.label, "", part.weights_digest, "", found.weights_digest, rules
        )
        apart = _unlike("task", [part.task], [found.task])
        if apart:
            words = f"saved and fresh do not measure the same: {'; '.join(apart)}"
            yield Finding("changed", words)
            continue
        moved = machines(part.environment, found.environment)
        if moved:
            yield Finding("noted", f"{name}: {'; '.join(map(str, moved))}")
        yield _judge_score(name, part.metric, part.score, found.score, rules)
        yield from _judge_samples(name, part, found, rules)


def _judge_row(
    saved: RowRecord,
    fresh: RowRecord,
    flips: tuple[list[FlipRecord], list[FlipRecord]],
    rules: Rules,
) -> Iterator[Finding]:
    yield from _same_weights(
        saved.label,
        saved.quant,
        saved.weights_digest,
        fresh.quant,
        fresh.weights_digest,
        rules,
    )
    if saved.quality and fresh.quality:
        one, other = saved.quality, fresh.quality
        yield _judge_perplexity(saved.label, one.perplexity, other.perplexity, rules)
        yield _judge_kld(saved.label, one.kld, other.kld)
    elif saved.quality:
        yield Finding("changed", f"{saved.label}: its loss was not measured")
    scores = {task.name: task for task in fresh.tasks}
    for task in saved.tasks:
        name = f"{saved.label} in {task.name}"
        if task.name not in scores:
            yield Finding("changed", f"{name}: was not asked")
            continue
        now = scores[task.name]
        yield _judge_score(name, task.metric, task.score, now.score, rules)
        yield from _judge_flips(name, task, now, flips, rules)


def _same_weights(
    label: str,
    quant: str,
    digest: str,
    new_quant: str,
    new_digest: str,
    rules: Rules,
) -> Iterator[Finding]:
    if digest and new_digest and digest != new_digest:
        words = (
            f"{label}: the weights changed: {weights(quant, digest)} → "
            f"{weights(new_quant, new_digest)}"
        )
        if rules.allow_change:
            yield Finding("noted", f"{words} (allowed)")
        else:
            yield Finding("changed", words)


def _judge_score(
    name: str,
    metric: str,
    saved: EstimateRecord,
    fresh: EstimateRecord,
    rules: Rules,
) -> Finding:
    """A score may move by k standard errors of the saved one."""
    if saved.value is None or fresh.value is None:
        same = saved.value == fresh.value
        words = f"{name}: {metric} {_number(saved.value)} → {_number(fresh.value)}"
        return Finding("same" if same else "changed", words)
    if saved.value == fresh.value:
        return Finding("same", f"{name}: {metric} {saved.value:.4g}")
    moved = abs(fresh.value - saved.value)
    error = saved.error
    in_errors = f"{moved / error:.1f} standard errors" if error else "no error is known"
    words = (
        f"{name}: {metric} {saved.value:.4g} → {fresh.value:.4g} ({in_errors}, "
        f"at most {rules.k:g})"
    )
    return Finding("within" if moved <= rules.k * error else "changed", words)


def _judge_perplexity(
    label: str, saved: EstimateRecord, fresh: EstimateRecord, rules: Rules
) -> Finding:
    if not saved.value or not fresh.value:
        return Finding("noted", f"{label}: no perplexity to compare")
    if saved.value == fresh.value:
        return Finding("same", f"{label}: perplexity {saved.value:.4g}")
    ratio = fresh.value / saved.value
    words = (
        f"{label}: perplexity {saved.value:.4f} → {fresh.value:.4f} (ratio "
        f"{ratio:.4f}, at most {rules.perplexity_ratio:g} either way)"
    )
    inside = max(ratio, 1 / ratio) <= rules.perplexity_ratio
    return Finding("within" if inside else "changed", words)


def _judge_kld(label: str, saved: EstimateRecord, fresh: EstimateRecord) -> Finding:
    """Judge a KL divergence by the saved one's interval."""
    if saved.value is None or fresh.value is None:
        return Finding("noted", f"{label}: no KL divergence to compare")
    if saved.value == fresh.value:
        return Finding("same", f"{label}: KL divergence {saved.value:.4g}")
    low = saved.value if saved.low is None else saved.low
    high = saved.value if saved.high is None else saved.high
    words = (
        f"{label}: KL divergence {saved.value:.4g} → {fresh.value:.4g} nats "
        f"(saved interval {low:.4g} to {high:.4g})"
    )
    return Finding("within" if low <= fresh.value <= high else "changed", words)


def _judge_flips(
    name: str,
    saved: TaskRecord,
    fresh: TaskRecord,
    flips: tuple[list[FlipRecord], list[FlipRecord]],
    rules: Rules,
) -> Iterator[Finding]:
    """Test the items that changed sides, as far as both records list all flips.

    An item that is no flip has the reference's value, which is in the other record.
    """
    before, after = (
        {one.item: one for one in part if one.task == saved.name} for part in flips
    )
    whole = len(before) == saved.n_lost + saved.n_gained
    if not whole or len(after) != fresh.n_lost + fresh.n_gained:
        return
    pairs = [
        (
            before[item].candidate_value if item in before else now.reference_value,
            now.candidate_value,
        )
        for item, now in after.items()
    ]
    pairs += [
        (was.candidate_value, was.reference_value)
        for item, was in before.items()
        if item not in after
    ]
    yield from _judge_pairs(name, pairs, rules)


def _judge_samples(
    name: str, saved: PartRecord, fresh: PartRecord, rules: Rules
) -> Iterator[Finding]:
    if saved.samples is None or fresh.samples is None:
        yield Finding("noted", f"{name}: too many samples to compare one by one")
        return
    if saved.samples.keys() != fresh.samples.keys():
        yield Finding("changed", f"{name}: other samples were asked")
        return
    pairs = [(was, fresh.samples[item]) for item, was in saved.samples.items()]
    yield from _judge_pairs(name, pairs, rules)


def _judge_pairs(
    name: str, pairs: Sequence[tuple[float | None, float | None]], rules: Rules
) -> Iterator[Finding]:
    """McNemar's exact test of the items that gained and lost."""
    from localkit.evals.statistics.estimates import mcnemar

    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    gained, lost = sum(b > a for a, b in both), sum(b < a for a, b in both)
    if not gained + lost:
        return
    p = mcnemar(gained, lost)
    words = (
        f"{name}: {lost} items got worse and {gained} better than saved (McNemar "
        f"p = {p:.2g}, at least {rules.flips_p:g})"
    )
    yield Finding("within" if p >= rules.flips_p else "changed", words)


def _unlike(kind: str, saved: Sequence[Named], fresh: Sequence[Named]) -> list[str]:
    """Return how the texts or tasks that were measured on differ."""
    now = {one.name: one for one in fresh}
    names = dict.fromkeys([one.name for one in (*saved, *fresh)])
    before = {one.name: one for one in saved}
    found = []
    for name in names:
        if name not in before or name not in now:
            found.append(f"{kind} {name} {'is new' if name in now else 'is missing'}")
            continue
        one, other = before[name], now[name]
        if one.digest != other.digest:
            found.append(f"{kind} {name} is another one")
        elif (one.n_items, one.n_tokens) != (other.n_items, other.n_tokens):
            count = one.n_items or one.n_tokens, other.n_items or other.n_tokens
            found.append(f"{count[0]} → {count[1]} of {name}")
    return found


def _number(value: float | None) -> str:
    return "unscored" if value is None else f"{value:.4g}"
