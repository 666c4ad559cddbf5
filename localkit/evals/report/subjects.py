"""The tables of details: one a subject, behind the overview."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from localkit.evals.report import figures
from localkit.evals.report.columns import (
    BPW,
    MAX_CTX,
    NAME,
    Column,
    memory_cell,
    of_speed,
    same_top,
    task_names,
    task_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localkit.evals.comparing.row import (
        ClientSpeed,
        DepthSpeed,
        Row,
        Speed,
        Spread,
        TaskResult,
    )
    from localkit.evals.statistics.estimates import Estimate


class Subject(NamedTuple):
    """A table of details on one subject."""

    title: str
    columns: tuple[Column, ...]
    caption: str = ""
    """What the figures are and their units."""


def subjects(rows: Sequence[Row]) -> tuple[Subject, ...]:
    """Return a table of details for everything that was measured."""
    several = bool(_texts(rows))
    return (
        Subject(
            "Quality on all texts" if several else "Quality on text",
            QUALITY,
            "± half a 95 % interval, clustered by chunk; KL in nats per token",
        ),
        Subject(
            "Quality by text",
            (NAME, *_by_text(rows)),
            "Mean KL divergence, nats per token, ± half a 95 % interval",
        ),
        *(
            Subject(
                f"Task: {name}",
                _task(name, rows),
                "Δ: score minus the reference's on the same items",
            )
            for name in task_names(rows)
        ),
        Subject(
            "Speed",
            (*SPEED, *_at_depth(rows), *_SPEED_NOTES),
            "Tokens per second, one stream: median (quartiles); @: tokens in the KV "
            "cache before",
        ),
        Subject(
            "Speed under load",
            (NAME, *_under_load(rows)),
            "tok/s: of all clients together; TTFT: time to first token; ITL: time "
            "between tokens",
        ),
        Subject("Memory by kind", MEMORY, "Measured, each model in a fresh process"),
        Subject(
            "Memory by context",
            (NAME, *_plans(rows)),
            "Estimate of weights, KV cache and compute buffers",
        ),
        Subject("Files and weight types", FILES),
    )


def _score(score: Estimate) -> str:
    if math.isnan(score.value):
        return figures.MISSING
    low, high = 100 * score.low, 100 * score.high
    return f"{100 * score.value:.0f} % ({low:.0f}–{high:.0f})"


def _quality(field: str, factor: float = 1) -> Callable[[Row], str]:
    """Return a cell that shows one estimate of `Quality` with its interval."""

    def cell(row: Row) -> str:
        estimate: Estimate | None = getattr(row.quality, field, None)
        if estimate is None:
            return figures.MISSING
        return figures.pm(figures.scaled(estimate, factor))

    return cell


def _kl(field: str) -> Callable[[Row], str]:
    """Return a cell that shows one percentile of KL."""
    return lambda row: figures.kl(getattr(row.quality, field, math.nan))


def _vram(row: Row) -> str:
    if row.memory is None or row.memory.vram is None:
        return "no GPU" if row.memory else figures.MISSING
    return figures.size(row.memory.vram)


def _load_s(speed: Speed) -> str:
    return figures.seconds(speed.load_s.median) if speed.load_s else figures.MISSING


def _energy(speed: Speed) -> str:
    return figures.joule(speed.energy.per_token_j if speed.energy else math.nan)


def _result(task_name: str, show: Callable[[TaskResult], str]) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        task = task_of(row, task_name)
        return show(task) if task else figures.MISSING

    return cell


def _task(task_name: str, rows: Sequence[Row]) -> tuple[Column, ...]:
    results = [task for row in rows if (task := task_of(row, task_name))]
    metric = results[0].metric
    right_or_wrong = any(task.n_lost or task.n_gained for task in results)
    extra = list(dict.fromkeys(name for task in results for name, _ in task.extra))

    def compared(show: Callable[[TaskResult], str]) -> Callable[[Row], str]:
        return _result(
            task_name, lambda task: show(task) if task.difference else figures.MISSING
        )

    def beside(which: str) -> Callable[[Row], str]:
        return _result(
            task_name,
            lambda task: (
                _score(dict(task.extra)[which])
                if which in dict(task.extra)
                else figures.MISSING
            ),
        )

    flips = (Column("lost / gained", compared(lambda t: f"{t.n_lost} / {t.n_gained}")),)
    return (
        NAME,
        Column(f"{metric} (95 %)", _result(task_name, lambda t: _score(t.score))),
        Column(
            "paired Δ, points (95 %)",
            compared(lambda t: figures.points(t.difference) if t.difference else ""),
        ),
        *(flips if right_or_wrong else ()),
        Column("p", _result(task_name, lambda t: figures.p_value(t.p_value))),
        Column("p (Holm)", _result(task_name, lambda t: figures.p_value(t.p_holm))),
        Column(
            "items that would settle it",
            compared(lambda t: f"{t.n_needed:,}" if t.n_needed else figures.MISSING),
        ),
        *(Column(which, beside(which)) for which in extra),
        Column("items", _result(task_name, lambda t: f"{t.n_items:,}")),
        Column("unscored", _result(task_name, lambda t: f"{t.n_unscored:,}")),
    )


def _texts(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(part.text for row in rows for part in row.by_text))


def _by_text(rows: Sequence[Row]) -> list[Column]:
    def cell(text: str) -> Callable[[Row], str]:
        def show(row: Row) -> str:
            part = next((part for part in row.by_text if part.text == text), None)
            if part is None:
                return figures.MISSING
            if row.is_reference:
                return f"floor {figures.kl(part.kld.value)}"
            return figures.pm(part.kld)

        return show

    return [Column(f"KL on {text}", cell(text)) for text in _texts(rows)]


def _at_depth(rows: Sequence[Row]) -> list[Column]:
    def at(row: Row, depth: int) -> DepthSpeed | None:
        found = row.speed.at_depth if row.speed else ()
        return next((one for one in found if one.depth == depth), None)

    def cell(phase: str, depth: int) -> Callable[[Row], str]:
        def show(row: Row) -> str:
            found = at(row, depth)
            spread: Spread | None = getattr(found, phase, None)
            return figures.spread(spread) if spread else figures.MISSING

        return show

    depths = sorted(
        {one.depth for row in rows if row.speed for one in row.speed.at_depth}
    )
    return [
        Column(f"{phase} @ {figures.tokens(depth)}", cell(phase, depth))
        for depth in depths
        for phase in ("prefill", "decode")
    ]


def _under_load(rows: Sequence[Row]) -> list[Column]:
    def cell(
        n_clients: int, show: Callable[[ClientSpeed], str]
    ) -> Callable[[Row], str]:
        def text(row: Row) -> str:
            found = row.speed.under_load if row.speed else ()
            one = next((one for one in found if one.n_clients == n_clients), None)
            return show(one) if one else figures.MISSING

        return text

    counts = sorted(
        {one.n_clients for row in rows if row.speed for one in row.speed.under_load}
    )
    columns = []
    for n in counts:
        who = f"{n} client{'s' if n > 1 else ''}"
        columns += [
            Column(f"{who}: tok/s", cell(n, lambda o: figures.rate(o.decode_per_s))),
            Column(
                f"{who}: TTFT 50/95 %",
                cell(
                    n,
                    lambda o: (
                        f"{figures.seconds(o.ttft_p50_s)} / "
                        f"{figures.seconds(o.ttft_p95_s)}"
                    ),
                ),
            ),
            Column(
                f"{who}: ITL 50/95 %",
                cell(
                    n,
                    lambda o: (
                        f"{figures.seconds(o.itl_p50_s)} / "
                        f"{figures.seconds(o.itl_p95_s)}"
                    ),
                ),
            ),
        ]
    return columns


def _plans(rows: Sequence[Row]) -> list[Column]:
    def cell(n_ctx: int) -> Callable[[Row], str]:
        def show(row: Row) -> str:
            plan = next((plan for plan in row.plans if plan.n_ctx == n_ctx), None)
            return figures.size(plan.total if plan else None)

        return show

    lengths = sorted({plan.n_ctx for row in rows for plan in row.plans})
    return [Column(f"ctx {figures.tokens(n_ctx)}", cell(n_ctx)) for n_ctx in lengths]


QUALITY = (
    NAME,
    Column("perplexity", _quality("perplexity")),
    Column("ln PPL ratio", _quality("ln_ppl_ratio")),
    Column(
        "bits per byte",
        lambda row: f"{row.quality.bits_per_byte:.3f}" if row.quality else "–",
    ),
    Column("mean KL", _quality("kld")),
    Column("median KL", _kl("kld_median")),
    Column("90 % KL", _kl("kld_p90")),
    Column("99 % KL", _kl("kld_p99")),
    Column("99.9 % KL", _kl("kld_p999")),
    Column("max KL", _kl("kld_max")),
    Column("same top", same_top),
    Column("mean Δp, points", _quality("dp", 100)),
    Column("RMS Δp, points", _quality("rms_dp", 100)),
)
MEMORY = (
    NAME,
    Column("weights", memory_cell("weights")),
    Column("KV cache", memory_cell("kv")),
    Column("compute", memory_cell("compute")),
    Column("total", memory_cell("total")),
    Column("peak", memory_cell("peak")),
    Column("estimate", memory_cell("estimate")),
    Column("RSS mapped", memory_cell("rss_mapped")),
    Column("RSS anonymous", memory_cell("rss_anonymous")),
    Column("VRAM", _vram),
    MAX_CTX,
)
SPEED = (
    NAME,
    Column("prefill tok/s", of_speed(lambda speed: figures.spread(speed.prefill))),
    Column("decode tok/s", of_speed(lambda speed: figures.spread(speed.decode))),
)
_SPEED_NOTES = (
    Column("load", of_speed(_load_s)),
    Column("energy per token", of_speed(_energy)),
    Column("noise", lambda row: row.speed.noise if row.speed else "", "<"),
)
FILES = (
    NAME,
    Column("quant", lambda row: row.quant, "<"),
    Column("ref", lambda row: row.ref, "<"),
    BPW,
    Column("weight types by bytes", lambda row: row.type_mix, "<"),
    Column("made from", lambda row: row.lossy_origin or "", "<"),
    Column("weights sha256", lambda row: row.weights_digest.split(":")[-1][:12], "<"),
    Column("note", lambda row: row.note, "<"),
)
