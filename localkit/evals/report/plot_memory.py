"""Figures of memory: by kind at one context length, and in total over lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.report import figures
from localkit.evals.report.plot_style import (
    AMBER,
    BLUE,
    GREY,
    GRID,
    INK,
    MUTED,
    ORANGE,
    Plot,
    bar_height,
    canvas,
    colour_of,
    legend,
    name_bars,
    png,
    shortened,
    size_unit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from localkit.evals.comparing.budget import Budget
    from localkit.evals.comparing.row import Row

_KINDS = (
    ("weights", "Weights", BLUE),
    ("kv", "KV cache", AMBER),
    ("compute", "Compute buffers", GREY),
)
_IN_RANGE = 2
"""Times the largest total from which a budget would flatten the figure."""


def memory(rows: Sequence[Row], pick: str | None, budget: Budget) -> Plot | None:
    """Draw memory by kind, with the budget where it is in range."""
    shown = [row for row in rows if row.memory]
    if not shown:
        return None
    totals = [row.memory.total if row.memory else 0 for row in shown]
    unit, unit_name = size_unit(max(totals))
    digits = 0 if unit_name == "MiB" else 1
    least, most = totals.index(min(totals)), totals.index(max(totals))
    title = (
        f"From {figures.size(totals[least])} ({shown[least].label}) "
        f"to {figures.size(totals[most])} ({shown[most].label})"
        if len(shown) > 1
        else f"{shown[0].label} needs {figures.size(totals[0])}"
    )
    title += f" at {budget.n_ctx:,} tokens of context"
    figure, axes = canvas(
        title,
        "Bytes the engine allocated, each model in a process of its own",
        height=bar_height(len(shown)),
        names=[row.label for row in shown],
    )
    left = [0.0] * len(shown)
    for kind, name, colour in _KINDS:
        widths = [getattr(row.memory, kind) / unit for row in shown]
        axes.barh(
            range(len(shown)),
            widths,
            left=left,
            height=0.62,
            color=colour,
            edgecolor="white",
            linewidth=0.8,
            label=name,
        )
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for index, total in enumerate(left):
        axes.text(
            total, index, f" {total:,.{digits}f}", va="center", size=8.5, color=INK
        )
    limit = budget.n_bytes / unit
    in_range = limit <= _IN_RANGE * max(left)
    if in_range:
        axes.axvline(limit, color=ORANGE, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(
            f" budget {figures.size(budget.n_bytes)}",
            (limit, 1),
            xycoords=("data", "axes fraction"),
            va="bottom",
            ha="center",
            size=8,
            color=ORANGE,
        )
    axes.set_xlim(0, max(*left, limit if in_range else 0) * 1.12)
    name_bars(axes, shown, pick)
    axes.set_xlabel(unit_name, loc="left")
    legend(figure, axes)
    told = "; ".join(
        f"{row.label}: {figures.size(total)}"
        for row, total in zip(shown, totals, strict=True)
    )
    return Plot("memory", title, png(figure), f"{title}. {told}.")


def memory_by_context(
    rows: Sequence[Row], pick: str | None, budget: Budget
) -> Plot | None:
    """Draw estimated memory over context length; None without two lengths."""
    shown = [row for row in rows if len(row.plans) > 1]
    if not shown:
        return None
    most = max(plan.total for row in shown for plan in row.plans)
    unit, unit_name = size_unit(most)
    title = _room(shown, pick, budget)
    figure, axes = canvas(title, "Estimate of weights, KV cache and compute buffers")
    lengths = sorted({plan.n_ctx for row in shown for plan in row.plans})
    axes.set_xscale("log", base=2)
    for row in shown:
        axes.plot(
            [plan.n_ctx for plan in row.plans],
            [plan.total / unit for plan in row.plans],
            color=colour_of(row, pick),
            linewidth=2.2 if row.label == pick else 1.1,
            marker="o",
            markersize=4.5 if row.label == pick else 3,
            zorder=3 if row.label == pick else 2,
        )
    axes.set_xlim(lengths[0], lengths[-1])
    limit = budget.n_bytes / unit
    top = most / unit
    if limit <= _IN_RANGE * top:
        axes.axhline(limit, color=ORANGE, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(
            f"budget {figures.size(budget.n_bytes)}",
            (lengths[0], limit),
            xytext=(4, 3),
            textcoords="offset points",
            size=8,
            color=ORANGE,
        )
        top = max(top, limit)
    axes.set_ylim(0, top * 1.08)
    axes.set_xticks(lengths, [figures.tokens(length) for length in lengths])
    axes.minorticks_off()
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_xlabel("Context length, tokens")
    axes.set_ylabel(unit_name)
    _name_lines(figure, axes, shown, pick, unit)
    told = "; ".join(
        f"{row.label}: {figures.size(row.plans[0].total)} at "
        f"{row.plans[0].n_ctx:,} tokens, {figures.size(row.plans[-1].total)} at "
        f"{row.plans[-1].n_ctx:,}"
        for row in shown
    )
    return Plot("memory_by_context", title, png(figure), f"{title}. {told}.")


def _room(rows: Sequence[Row], pick: str | None, budget: Budget) -> str:
    """Return the finding: how long a context fits."""
    known = [row for row in rows if row.max_ctx is not None]
    size = figures.size(budget.n_bytes)
    if not known:
        return "A longer context takes more memory, whatever the quant"
    if all(row.max_ctx == known[0].max_ctx for row in known):
        length = known[0].max_ctx or 0
        who = "all candidates" if len(known) > 1 else known[0].label
        if not length:
            return f"{size} is too little for any of them"
        return f"In {size} there is room for {length:,} tokens with {who}"
    first = next(
        (row for row in known if row.label == pick),
        max(known, key=lambda row: row.max_ctx or 0),
    )
    other = min(known, key=lambda row: row.max_ctx or 0)
    if other.max_ctx == first.max_ctx:
        other = max(known, key=lambda row: row.max_ctx or 0)
    return (
        f"In {size} there is room for {first.max_ctx:,} tokens with {first.label}, "
        f"{other.max_ctx:,} with {other.label}"
    )


def _name_lines(
    figure: object, axes: Axes, rows: Sequence[Row], pick: str | None, unit: int
) -> None:
    """Write the labels right of the lines' ends, moved apart where they meet."""
    del figure
    names = [shortened(row.label) for row in rows]
    box = axes.get_position()
    room = min(0.3, 0.012 * max(map(len, names)) + 0.02)
    axes.set_position((box.x0, box.y0, box.width - room, box.height))
    low, high = axes.get_ylim()
    gap = (high - low) * 0.052
    ends = sorted((row.plans[-1].total / unit, index) for index, row in enumerate(rows))
    places: list[float] = []
    for value, _ in ends:
        places.append(max(value, places[-1] + gap if places else value))
    # What was pushed over the top comes back down, the rest with it.
    over = max(0.0, places[-1] - high)
    for (value, index), place in zip(ends, places, strict=True):
        row = rows[index]
        axes.annotate(
            names[index],
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(1.03, place - over),
            textcoords=("axes fraction", "data"),
            va="center",
            size=8.5,
            weight="bold" if row.label == pick else "normal",
            color=colour_of(row, pick),
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": MUTED,
                "lw": 0.5,
                "shrinkA": 0,
                "shrinkB": 1,
            },
        )
