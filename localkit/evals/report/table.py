"""The rows as tables: one to read, details by subject, and a data frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

from localkit.evals.report import figures
from localkit.render.table import html_table, plain_table
from localkit.render.text import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from localkit.evals.comparing.row import Row
    from localkit.evals.statistics.estimates import Estimate


_LONG = 24
"""Characters from which a cell may be broken into lines."""


class Column(NamedTuple):
    """One column: its head, and what it shows of a row."""

    head: str
    cell: Callable[[Row], str]
    align: str = ">"


def _quality(name: str) -> Callable[[Row], str]:
    """Return a cell that shows one estimate of `Quality` with its interval."""

    def cell(row: Row) -> str:
        return (
            figures.pm(getattr(row.quality, name)) if row.quality else figures.MISSING
        )

    return cell


def _memory(kind: str) -> Callable[[Row], str]:
    """Return a cell that shows one kind of `Memory`."""

    def cell(row: Row) -> str:
        return figures.size(getattr(row.memory, kind) if row.memory else None)

    return cell


def _kld(row: Row) -> str:
    if row.quality is None:
        return figures.MISSING
    if row.is_reference:
        return f"floor {figures.kl(row.kld)}"
    return figures.pm(row.quality.kld)


def _same_top(row: Row) -> str:
    return figures.percent(row.quality.same_top.value if row.quality else math.nan)


def _accuracy(row: Row) -> str:
    if row.task is None:
        return figures.MISSING
    accuracy = row.task.score
    low, high = 100 * accuracy.low, 100 * accuracy.high
    return f"{100 * accuracy.value:.0f} % ({low:.0f}–{high:.0f})"


def _difference(row: Row) -> str:
    if row.task is None or row.task.difference is None:
        return figures.MISSING
    return figures.points(row.task.difference)


def _flips(row: Row) -> str:
    if row.task is None or row.task.difference is None:
        return figures.MISSING
    return f"{row.task.n_lost} / {row.task.n_gained}"


def _name(row: Row) -> str:
    if not row.is_reference:
        return row.label
    origin = f" (from {row.lossy_origin})" if row.lossy_origin else ""
    return f"{row.label}{origin} ◇"


def _why_not(row: Row) -> str:
    return row.excluded.text if row.excluded else ""


def _vram(row: Row) -> str:
    if row.memory is None or row.memory.vram is None:
        return "no GPU" if row.memory else figures.MISSING
    return figures.size(row.memory.vram)


def _starred(row: Row) -> str:
    return f"{_name(row)} ★" if row.pareto else _name(row)


_QUANT = Column("Quant", _name, "<")
OVERVIEW = (
    Column("Quant", _starred, "<"),
    Column("bpw", lambda row: f"{row.bits_per_weight:.2f}"),
    Column("file", lambda row: figures.size(row.file_size)),
    Column("memory", _memory("needed")),
    Column(
        "prefill",
        lambda row: figures.rate(row.speed.prefill.median if row.speed else math.nan),
    ),
    Column(
        "decode tok/s",
        lambda row: figures.spread(row.speed.decode) if row.speed else figures.MISSING,
    ),
    Column("mean KL, nats", _kld),
    Column("same top", _same_top),
    Column("accuracy", _accuracy),
    Column("not taken", _why_not, "<"),
)
QUALITY = (
    _QUANT,
    Column("perplexity", _quality("perplexity")),
    Column("ln PPL ratio", _quality("ln_ppl_ratio")),
    Column(
        "bits per byte",
        lambda row: f"{row.quality.bits_per_byte:.3f}" if row.quality else "–",
    ),
    Column("mean KL", _quality("kld")),
    Column(
        "99 % KL",
        lambda row: figures.kl(row.quality.kld_p99 if row.quality else math.nan),
    ),
    Column("same top", _same_top),
)
TASK = (
    _QUANT,
    Column("accuracy (95 % Wilson)", _accuracy),
    Column("difference, points (95 %)", _difference),
    Column("lost / gained", _flips),
    Column(
        "McNemar p",
        lambda row: figures.p_value(row.task.p_value if row.task else math.nan),
    ),
    Column(
        "Holm p", lambda row: figures.p_value(row.task.p_holm if row.task else math.nan)
    ),
    Column("unscored", lambda row: str(row.task.n_unscored) if row.task else "–"),
)
MEMORY = (
    _QUANT,
    Column("weights", _memory("weights")),
    Column("KV cache", _memory("kv")),
    Column("compute", _memory("compute")),
    Column("total", _memory("total")),
    Column("RSS mapped", _memory("rss_mapped")),
    Column("RSS anonymous", _memory("rss_anonymous")),
    Column("VRAM", _vram),
)
SPEED = (
    _QUANT,
    Column(
        "prefill tok/s (quartiles)",
        lambda row: figures.spread(row.speed.prefill) if row.speed else figures.MISSING,
    ),
    Column(
        "decode tok/s (quartiles)",
        lambda row: figures.spread(row.speed.decode) if row.speed else figures.MISSING,
    ),
    Column("noise", lambda row: row.speed.noise if row.speed else "", "<"),
)
FILES = (
    _QUANT,
    Column("ref", lambda row: row.ref, "<"),
    Column("weight types by bytes", lambda row: row.type_mix, "<"),
    Column("made from", lambda row: row.lossy_origin or "", "<"),
    Column("weights sha256", lambda row: row.weights_digest.split(":")[-1][:12], "<"),
    Column("note", lambda row: row.note, "<"),
)


def html(
    rows: Sequence[Row],
    columns: Sequence[Column] = OVERVIEW,
    *,
    pick: str | None = None,
) -> Markup:
    """Return the columns as a table with inline styles, the pick set off.

    A column that is empty in every row is left out.
    """
    kept = _filled(rows, columns)
    chosen = [index for index, row in enumerate(rows) if row.label == pick]
    return html_table(
        [column.head for column in kept],
        [[_unbroken(column, row) for column in kept] for row in rows],
        align="".join(column.align for column in kept),
        highlight=chosen,
    )


def _unbroken(column: Column, row: Row) -> Markup | str:
    """Return a cell; a short one stays on one line, figures with their units."""
    text = column.cell(row)
    if len(text) > _LONG:
        return text
    return Markup('<span style="white-space:nowrap">{}</span>').format(escape(text))


def plain(rows: Sequence[Row], *, pick: str | None = None) -> str:
    """Return the overview as aligned text; an arrow marks the pick."""
    kept = _filled(rows, OVERVIEW)
    return plain_table(
        ["", *(column.head for column in kept)],
        [
            ["→" if row.label == pick else "", *(column.cell(row) for column in kept)]
            for row in rows
        ],
        align="<" + "".join(column.align for column in kept),
    )


def _filled(rows: Sequence[Row], columns: Sequence[Column]) -> list[Column]:
    return [
        column
        for column in columns
        if any(column.cell(row) not in ("", figures.MISSING) for row in rows)
    ]


def to_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Return every figure of every row; columns say their unit, NaN is unscored."""
    import pandas as pd

    return pd.DataFrame([_flat(row) for row in rows]).set_index("quant")


def _flat(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {
        "quant": row.label,
        "ref": row.ref,
        "reference": row.is_reference,
        "bits_per_weight": row.bits_per_weight,
        "type_mix": row.type_mix,
        "file_bytes": row.file_size,
        "lossy_origin": row.lossy_origin or "",
    }
    quality, task = row.quality, row.task
    flat |= _ends("kld_nats", quality.kld if quality else None)
    flat["kld_p99_nats"] = quality.kld_p99 if quality else math.nan
    flat |= _ends("same_top_share", quality.same_top if quality else None)
    flat |= _ends("ln_ppl_ratio", quality.ln_ppl_ratio if quality else None)
    flat |= _ends("perplexity", quality.perplexity if quality else None)
    flat["bits_per_byte"] = quality.bits_per_byte if quality else math.nan
    flat |= _ends("accuracy_share", task.score if task else None)
    flat |= _ends("accuracy_difference", task.difference if task else None)
    for name in ("n_items", "n_unscored", "n_lost", "n_gained"):
        flat[f"task_{name}"] = getattr(task, name) if task else math.nan
    flat["mcnemar_p"] = task.p_value if task else math.nan
    flat["holm_p"] = task.p_holm if task else math.nan
    for phase in ("prefill", "decode"):
        timed = getattr(row.speed, phase) if row.speed else None
        flat[f"{phase}_tokens_per_s"] = timed.median if timed else math.nan
        flat[f"{phase}_tokens_per_s_q1"] = timed.low if timed else math.nan
        flat[f"{phase}_tokens_per_s_q3"] = timed.high if timed else math.nan
    for kind in ("weights", "kv", "compute", "total", "rss_mapped", "rss_anonymous"):
        flat[f"{kind}_bytes"] = getattr(row.memory, kind) if row.memory else math.nan
    vram = row.memory.vram if row.memory else None
    flat["vram_bytes"] = math.nan if vram is None else vram
    flat["pareto"] = row.pareto
    flat["excluded"] = row.excluded.text if row.excluded else ""
    flat["note"] = row.note
    return flat


def _ends(name: str, estimate: Estimate | None) -> dict[str, float]:
    """Return a figure and both ends of its 95 % interval."""
    if estimate is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), math.nan)
    return {
        name: estimate.value,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
    }
