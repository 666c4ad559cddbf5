"""From measurements to rows: summaries, neighbours, the Pareto set, exclusions."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from localkit.evals.comparing.row import Exclusion, KldStep, Quality, Row
from localkit.evals.comparing.verdict import exclusion
from localkit.evals.memory.plans import max_ctx, plans
from localkit.evals.statistics.estimates import paired_difference
from localkit.evals.text.divergence import summarize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.comparing.budget import Budget
    from localkit.evals.comparing.family import Candidate, Family, Remote
    from localkit.evals.comparing.row import Memory, Speed, TaskResult
    from localkit.evals.statistics.estimates import Estimate
    from localkit.evals.text.divergence import ChunkDivergence
    from localkit.evals.text.quality import ScoredText
    from localkit.gguf.info import ModelInfo

_SHARES = 3
"""Weight types that a row names; the others are few bytes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate has to meet beside the memory."""

    max_kld: float
    """Mean KL divergence at most, nats per token."""
    max_loss: float | None = None
    """Loss of a task's score at most."""
    min_decode_per_s: float | None = None


def build_rows(
    family: Family,
    *,
    texts: Mapping[str, ScoredText],
    tasks: Mapping[str, tuple[TaskResult, ...]],
    speeds: Mapping[str, Speed],
    memory: Mapping[str, Memory],
    failures: Mapping[str, str],
    budget: Budget,
    limits: Limits,
) -> tuple[Row, ...]:
    """Join what was measured, each mapping by candidate label, in family order."""
    rows = []
    for candidate in family.candidates:
        label = candidate.label
        parts = {
            name: text.chunks[label]
            for name, text in texts.items()
            if label in text.chunks
        }
        joined = [chunk for chunks in parts.values() for chunk in chunks]
        row = Row(
            label=label,
            ref=str(candidate.model.ref),
            weights_digest=candidate.weights_digest,
            quant=candidate.info.quant,
            bits_per_weight=candidate.info.bits_per_weight,
            type_mix=type_mix(candidate.info),
            file_size=candidate.info.file_size,
            lossy_origin=candidate.info.lossy_origin,
            is_reference=candidate is family.reference,
            quality=_quality(joined) if joined else None,
            by_text=tuple(_quality(chunks, name) for name, chunks in parts.items())
            if len(parts) > 1
            else (),
            tasks=tasks.get(label, ()),
            speed=speeds.get(label),
            memory=memory.get(label),
            variant=candidate.variant.label,
            plans=plans(candidate.info, candidate.variant),
            max_ctx=max_ctx(candidate.info, budget.n_bytes, candidate.variant),
            note=failures.get(label) or _note(candidate, family.reference),
        )
        rows.append(
            replace(
                row,
                excluded=exclusion(
                    row,
                    budget=budget,
                    max_kld=limits.max_kld,
                    min_decode_per_s=limits.min_decode_per_s,
                    max_loss=limits.max_loss,
                ),
            )
        )
    rows += [_remote(one, tasks.get(one.label, ())) for one in family.remotes]
    best = pareto(rows)
    return tuple(replace(row, pareto=row.label in best) for row in rows)


def _remote(remote: Remote, tasks: tuple[TaskResult, ...]) -> Row:
    """Return the row of a model behind a URL, of which only answers are known."""
    note = "behind a URL: nothing but its answers is known"
    return Row(
        label=remote.label,
        ref=remote.address,
        weights_digest="",
        quant="",
        bits_per_weight=math.nan,
        type_mix="",
        file_size=0,
        lossy_origin=None,
        tasks=tasks,
        excluded=Exclusion("unmeasured", note),
        note=note,
    )


def type_mix(info: ModelInfo) -> str:
    """Return the weight types with the most bytes: ``q5_0 71 %, q8_0 22 %``."""
    total = info.weights_size or 1
    shares = sorted(info.type_mix, key=lambda share: -share.n_bytes)
    return ", ".join(
        f"{share.type} {100 * share.n_bytes / total:.0f} %"
        for share in shares[:_SHARES]
        if share.n_bytes >= total / 200
    )


def _quality(chunks: Sequence[ChunkDivergence], text: str = "") -> Quality:
    summary = summarize(chunks)
    return Quality(
        kld=summary.kld,
        kld_p99=summary.kld_p99,
        same_top=summary.same_top,
        ln_ppl_ratio=summary.ln_ppl_ratio,
        perplexity=summary.perplexity,
        bits_per_byte=summary.bits_per_byte,
        n_chunks=summary.n_chunks,
        n_tokens=summary.n_tokens,
        text=text,
        kld_median=summary.kld_median,
        kld_p90=summary.kld_p90,
        kld_p999=summary.kld_p999,
        kld_max=summary.kld_max,
        dp=summary.dp,
        rms_dp=summary.rms_dp,
        dp_percentiles=summary.dp_percentiles,
    )


def _note(candidate: Candidate, reference: Candidate) -> str:
    if candidate is reference:
        return ""
    if candidate.stranger:
        return f"no loss is measured: {candidate.stranger}"
    if candidate.info.quant == reference.info.lossy_origin:
        return (
            f"{reference.label} was expanded from {candidate.info.quant}: the same "
            "weights, so its KL is the engine's arithmetic, not a loss"
        )
    return ""


def pareto(rows: Sequence[Row]) -> frozenset[str]:
    """Return the labels that no other row beats in size, decode speed and KL."""
    scored = {
        row.label: (
            float(row.file_size),
            -row.decode_per_s,
            -math.inf if row.is_reference else row.kld,
        )
        for row in rows
        if not math.isnan(row.decode_per_s) and not math.isnan(row.kld)
    }
    return frozenset(
        label
        for label, point in scored.items()
        if not any(
            other != point and all(a <= b for a, b in zip(other, point, strict=True))
            for other in scored.values()
        )
    )


def kld_steps(
    rows: Sequence[Row], chunks: Mapping[str, Sequence[ChunkDivergence]]
) -> tuple[KldStep, ...]:
    """Compare the candidates next to each other in KL order, token by token."""
    order = sorted(
        (row for row in rows if row.quality and not row.is_reference),
        key=lambda row: row.kld,
    )
    return tuple(
        KldStep(
            closer.label,
            further.label,
            _paired(chunks[further.label], chunks[closer.label]),
        )
        for closer, further in itertools.pairwise(order)
    )


def _paired(a: Sequence[ChunkDivergence], b: Sequence[ChunkDivergence]) -> Estimate:
    clusters = np.repeat(np.arange(len(a)), [chunk.kld.size for chunk in a])
    return paired_difference(
        np.concatenate([chunk.kld for chunk in a]),
        np.concatenate([chunk.kld for chunk in b]),
        clusters,
    )
