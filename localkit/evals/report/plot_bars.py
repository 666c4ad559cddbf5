"""Figures of one bar a candidate: memory by kind, and accuracy on a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.comparing.verdict import ALPHA
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
    canvas,
    legend,
    png,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from localkit.evals.comparing.budget import Budget
    from localkit.evals.comparing.row import Row

_MIB = 2**20
_KINDS = (
    ("weights", "Weights", BLUE),
    ("kv", "KV cache", AMBER),
    ("compute", "Compute buffers", GREY),
)


def memory(rows: Sequence[Row], pick: str | None, budget: Budget) -> Plot | None:
    """Draw memory by kind, with the budget where it is in range."""
    shown = [row for row in rows if row.memory]
    if not shown:
        return None
    totals = [row.memory.total / _MIB for row in shown if row.memory]
    least, most = totals.index(min(totals)), totals.index(max(totals))
    title = (
        f"From {totals[least]:,.0f} MiB ({shown[least].label}) "
        f"to {totals[most]:,.0f} MiB ({shown[most].label})"
        if len(shown) > 1
        else f"{shown[0].label} needs {totals[0]:,.0f} MiB"
    )
    title += f" at {budget.n_ctx:,} tokens of context"
    figure, axes = canvas(
        title,
        "Bytes the engine allocated, each model in a process of its own",
        height=1.75 + 0.34 * len(shown),
    )
    left = [0.0] * len(shown)
    for kind, name, colour in _KINDS:
        widths = [getattr(row.memory, kind) / _MIB for row in shown]
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
        axes.text(total, index, f" {total:,.0f}", va="center", size=8.5, color=INK)
    limit = budget.n_bytes / _MIB
    if limit <= 2 * max(left):
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
    axes.set_xlim(0, max(*left, limit if limit <= 2 * max(left) else 0) * 1.12)
    _name_bars(axes, shown, pick)
    axes.set_xlabel("MiB", loc="left")
    legend(figure, axes)
    return Plot("memory", title, png(figure))


def accuracy(rows: Sequence[Row], pick: str | None, task: str) -> Plot | None:
    """Draw accuracy on a task with Wilson intervals."""
    shown = [row for row in rows if row.task]
    if not shown:
        return None
    differing = [row.label for row in shown if row.task and row.task.p_holm <= ALPHA]
    reference = next((row for row in shown if row.is_reference), None)
    against = reference.label if reference else "the reference"
    title = (
        f"{task}: {figures.listing(differing)} differ from {against}"
        if len(differing) > 1
        else f"{task}: {differing[0]} differs from {against}"
        if differing
        else f"{task}: no difference from {against} that {_items(shown)} could detect"
    )
    figure, axes = canvas(
        title,
        "Bars: 95 % Wilson interval; the tests against the reference are paired",
        height=1.75 + 0.34 * len(shown),
    )
    if reference and reference.task:
        value = 100 * reference.task.score.value
        axes.axvline(value, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    for index, row in enumerate(shown):
        if row.task is None:
            continue
        share = row.task.score
        colour = ORANGE if row.label == pick else INK if row.is_reference else BLUE
        value = 100 * share.value
        axes.errorbar(
            value,
            index,
            xerr=[[value - 100 * share.low], [100 * share.high - value]],
            fmt="D" if row.is_reference else "o",
            color=colour,
            markerfacecolor="white" if row.is_reference else colour,
            markersize=6.5,
            elinewidth=1.2,
            capsize=2.5,
        )
        axes.annotate(
            f"{value:.0f} %",
            (100 * share.high, index),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            size=8.5,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axes.margins(x=0.1)
    _name_bars(axes, shown, pick)
    axes.set_xlabel("Accuracy, %")
    return Plot("accuracy", title, png(figure))


def _items(rows: Sequence[Row]) -> str:
    return f"{max(row.task.n_items for row in rows if row.task)} items"


def _name_bars(axes: Axes, rows: Sequence[Row], pick: str | None) -> None:
    axes.set_yticks(range(len(rows)), [row.label for row in rows], size=9, color=INK)
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if row.label == pick else "normal")
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
