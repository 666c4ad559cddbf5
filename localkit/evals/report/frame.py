"""Every figure of a comparison as a pandas frame; units stand in the column names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from localkit.evals.comparing.row import Quality, Row, Speed, TaskResult
    from localkit.evals.statistics.estimates import Estimate


def to_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Return one row a candidate; NaN is unscored.

    Shares and differences of shares are fractions, ``_low`` and ``_high`` the ends
    of the 95 % interval. Figures by text, task, depth, number of clients and context
    length have that behind an ``@`` in their name.
    """
    import pandas as pd

    return pd.DataFrame([_flat(row) for row in rows]).set_index("quant")


def _flat(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {
        "quant": row.label,
        "ref": row.ref,
        "variant": row.variant,
        "reference": row.is_reference,
        "bits_per_weight": row.bits_per_weight,
        "type_mix": row.type_mix,
        "file_bytes": row.file_size,
        "lossy_origin": row.lossy_origin or "",
    }
    flat |= _quality(row.quality)
    for part in row.by_text:
        flat |= _ends(f"kld_nats@{part.text}", part.kld)
        flat |= _ends(f"ln_ppl_ratio@{part.text}", part.ln_ppl_ratio)
    flat |= _first_task(row.task)
    for task in row.tasks:
        flat |= _task(task)
    flat |= _speed(row.speed)
    kinds = ("weights", "kv", "compute", "total", "peak", "estimate")
    for kind in (*kinds, "rss_mapped", "rss_anonymous", "vram"):
        flat[f"{kind}_bytes"] = _number(getattr(row.memory, kind, None))
    for plan in row.plans:
        flat[f"plan_bytes@{plan.n_ctx}"] = plan.total
    flat["max_ctx_tokens"] = _number(row.max_ctx)
    flat["pareto"] = row.pareto
    flat["excluded_because"] = row.excluded.because if row.excluded else ""
    flat["excluded"] = row.excluded.text if row.excluded else ""
    flat["note"] = row.note
    return flat


def _quality(quality: Quality | None) -> dict[str, Any]:
    flat: dict[str, Any] = _ends("kld_nats", quality.kld if quality else None)
    for name in ("median", "p90", "p99", "p999", "max"):
        flat[f"kld_{name}_nats"] = getattr(quality, f"kld_{name}", math.nan)
    flat |= _ends("same_top_share", quality.same_top if quality else None)
    flat |= _ends("ln_ppl_ratio", quality.ln_ppl_ratio if quality else None)
    flat |= _ends("perplexity", quality.perplexity if quality else None)
    flat["bits_per_byte"] = quality.bits_per_byte if quality else math.nan
    flat |= _ends("dp_share", quality.dp if quality else None)
    flat |= _ends("rms_dp_share", quality.rms_dp if quality else None)
    return flat


def _first_task(task: TaskResult | None) -> dict[str, Any]:
    """Return the first task's figures under names that do not depend on it."""
    flat: dict[str, Any] = _ends("accuracy_share", task.score if task else None)
    flat |= _ends("accuracy_difference", task.difference if task else None)
    for name in ("n_items", "n_unscored", "n_lost", "n_gained", "n_needed"):
        flat[f"task_{name}"] = _number(getattr(task, name, None))
    flat["mcnemar_p"] = task.p_value if task else math.nan
    flat["holm_p"] = task.p_holm if task else math.nan
    return flat


def _task(task: TaskResult) -> dict[str, Any]:
    where = f"@{task.name}"
    flat: dict[str, Any] = {}
    for name, estimate in (("score", task.score), ("difference", task.difference)):
        flat |= _ends(f"{name}_share{where}", estimate)
    flat[f"n_items{where}"] = task.n_items
    flat[f"p{where}"], flat[f"holm_p{where}"] = task.p_value, task.p_holm
    for name, estimate in task.extra:
        flat |= _ends(f"{name}{where}", estimate)
    return flat


def _speed(speed: Speed | None) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for phase in ("prefill", "decode"):
        timed = getattr(speed, phase, None)
        flat[f"{phase}_tokens_per_s"] = timed.median if timed else math.nan
        flat[f"{phase}_tokens_per_s_q1"] = timed.low if timed else math.nan
        flat[f"{phase}_tokens_per_s_q3"] = timed.high if timed else math.nan
    if speed is None:
        return flat
    for depth in speed.at_depth:
        flat[f"prefill_tokens_per_s@{depth.depth}"] = depth.prefill.median
        flat[f"decode_tokens_per_s@{depth.depth}"] = depth.decode.median
    for load in speed.under_load:
        where = f"@{load.n_clients} clients"
        for name in ("ttft_p50_s", "ttft_p95_s", "itl_p50_s", "itl_p95_s"):
            flat[name + where] = getattr(load, name)
        flat[f"decode_tokens_per_s{where}"] = load.decode_per_s
    if speed.load_s:
        flat["load_s"] = speed.load_s.median
    if speed.energy:
        flat["energy_j_per_token"] = speed.energy.per_token_j
    return flat


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _ends(name: str, estimate: Estimate | None) -> dict[str, float]:
    """Return a figure and both ends of its 95 % interval."""
    if estimate is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), math.nan)
    return {
        name: estimate.value,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
    }
