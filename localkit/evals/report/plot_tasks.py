"""Figures of tasks: what each candidate gains or loses on the reference's items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.comparing.verdict import ALPHA
from localkit.evals.report import figures
from localkit.evals.report.columns import task_names, task_of
from localkit.evals.report.plot_style import (
    INK,
    MUTED,
    Plot,
    bar_height,
    colour_of,
    name_bars,
    panels,
    png,
    quiet_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from localkit.evals.comparing.row import Row

MOST_PANELS = 4


def tasks(rows: Sequence[Row], pick: str | None) -> Plot | None:
    """Draw paired differences with their intervals, a panel a task.

    Where the reference was asked alone, its scores with theirs.
    """
    names = task_names(rows)
    shown = [row for row in rows if row.tasks]
    if not shown:
        return None
    paired = any(task.difference for row in shown for task in row.tasks)
    title = _finding(shown, names) if paired else _scores(shown, names)
    subtitle = (
        "Score minus the reference's on the same items; bars: paired 95 % interval; "
        "filled: told apart (Holm)"
        if paired
        else "Bars: 95 % interval"
    )
    if len(names) > MOST_PANELS:
        subtitle += f"; the first {MOST_PANELS} of {len(names)} tasks"
    figure, axes = panels(
        title,
        subtitle,
        height=bar_height(len(shown)) + (0.22 if len(names) > 1 else 0),
        names=[row.label for row in shown],
        count=min(len(names), MOST_PANELS),
    )
    for index, (name, one) in enumerate(zip(names, axes, strict=False)):
        _panel(one, shown, pick, name, paired=paired)
        if index == 0:
            name_bars(one, shown, pick)
        else:
            quiet_rows(one, len(shown))
            one.set_yticks([])
        if len(axes) > 1:
            one.set_title(name, size=9, color=INK, loc="left", pad=3)
        one.set_xlabel("Δ, points" if paired else "Score, %", size=9)
    metrics = {task.metric for row in shown for task in row.tasks}
    stem = "accuracy" if metrics == {"accuracy"} else "tasks"
    return Plot(stem, title, png(figure), f"{title}. {_told(shown, names)}.")


def _panel(
    axes: Axes, rows: Sequence[Row], pick: str | None, name: str, *, paired: bool
) -> None:
    if paired:
        axes.axvline(0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    for index, row in enumerate(rows):
        task = task_of(row, name)
        if task is None:
            continue
        is_base = paired and (row.is_reference or task.difference is None)
        value = task.score if task.difference is None else task.difference
        ends = [100 * end for end in (value.value, value.low, value.high)]
        if is_base:
            ends = [0.0, 0.0, 0.0]
        colour = colour_of(row, pick)
        told = task.p_holm <= ALPHA or not paired
        axes.errorbar(
            ends[0],
            index,
            xerr=[[ends[0] - ends[1]], [ends[2] - ends[0]]],
            fmt="D" if row.is_reference else "o",
            color=colour,
            markerfacecolor=colour if told and not row.is_reference else "white",
            markersize=6.5,
            elinewidth=1.2,
            capsize=0 if is_base else 2.5,
        )
        axes.annotate(
            figures.percent(task.score.value, places=0),
            (ends[2], index),
            xytext=(7 if is_base else 5, 0),
            textcoords="offset points",
            va="center",
            size=8,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )
    # Room for the scores, which stand outside the intervals.
    axes.margins(x=0.1)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 0.16 * (high - low))


def _finding(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return what the paired tests tell apart."""
    reference = next((row.label for row in rows if row.is_reference), "the reference")
    found = {
        name: [
            row.label
            for row in rows
            if (task := task_of(row, name)) and task.p_holm <= ALPHA
        ]
        for name in names
    }
    told = {name: labels for name, labels in found.items() if labels}
    if not told:
        counts = {task.n_items for row in rows for task in row.tasks}
        items = f"n={max(counts):,}"
        return (
            f"{figures.listing(list(names))}: no difference from {reference} that "
            f"{items} could detect"
        )
    parts = [
        f"{name}: {figures.listing(labels)} "
        f"{'differs' if len(labels) == 1 else 'differ'} from {reference}"
        for name, labels in told.items()
    ]
    return "; ".join(parts)


def _scores(rows: Sequence[Row], names: Sequence[str]) -> str:
    scores = [
        f"{figures.percent(task.score.value, places=0)} on {name}"
        for name in names
        if (task := task_of(rows[0], name))
    ]
    return f"{rows[0].label} scores {figures.listing(scores)}"


def _told(rows: Sequence[Row], names: Sequence[str]) -> str:
    return "; ".join(
        f"{name}, {row.label}: "
        + (
            f"{figures.points(task.difference)} points"
            if task.difference and not row.is_reference
            else figures.percent(task.score.value, places=0)
        )
        for name in names
        for row in rows
        if (task := task_of(row, name))
    )
