"""Figures of quality: KL divergence against file size, and against decode speed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from localkit.evals.report import figures
from localkit.evals.report.plot_labels import Point, place_labels
from localkit.evals.report.plot_style import (
    BLUE,
    GREY,
    GRID,
    INK,
    MUTED,
    ORANGE,
    Plot,
    canvas,
    png,
    shortened,
    size_unit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from localkit.evals.comparing.row import Row


class _Mark(NamedTuple):
    """One candidate, with the ends of its error bars."""

    row: Row
    x: float
    x_low: float
    x_high: float
    y: float
    y_low: float
    y_high: float

    @property
    def bars(self) -> tuple[float, float, float, float]:
        return self.x_low, self.x_high, self.y_low, self.y_high


def kld_vs_size(rows: Sequence[Row], pick: str | None, max_kld: float) -> Plot | None:
    """Draw mean KL divergence against file size; None without a scored candidate."""
    unit, unit_name = size_unit(max((row.file_size for row in rows), default=0))
    marks = _marks([(row, (row.file_size / unit,) * 3) for row in rows])
    if not marks:
        return None
    within = [mark.row for mark in marks if mark.row.kld_bound <= max_kld]
    within = [row for row in within if not row.is_reference]
    title = (
        f"{min(within, key=lambda row: row.file_size).label} is the smallest file "
        f"within {max_kld:g} nats of the reference"
        if within
        else f"No quant stays within {max_kld:g} nats of the reference"
    )
    figure, axes = canvas(
        title, "Bars: 95 % interval, clustered by chunk; lower is closer"
    )
    _draw(axes, marks, pick, max_kld, faster_is_right=False)
    axes.set_xlabel(f"File size, {unit_name}")
    alt = _told(marks, lambda row: figures.size(row.file_size))
    return Plot("kld_vs_size", title, png(figure), f"{title}. {alt}")


def kld_vs_decode(rows: Sequence[Row], pick: str | None, max_kld: float) -> Plot | None:
    """Draw mean KL divergence against decode speed; None without both."""
    marks = _marks(
        [
            (
                row,
                (row.speed.decode.median, row.speed.decode.low, row.speed.decode.high),
            )
            for row in rows
            if row.speed
        ]
    )
    if not marks:
        return None
    within = [
        mark.row
        for mark in marks
        if mark.row.is_reference or mark.row.kld_bound <= max_kld
    ]
    title = (
        f"{max(within, key=lambda row: row.decode_per_s).label} has the fastest median "
        f"decode within {max_kld:g} nats"
        if within
        else "What does speed cost in quality?"
    )
    figure, axes = canvas(
        title, "Horizontal bars: interquartile range; vertical bars: 95 % interval"
    )
    _draw(axes, marks, pick, max_kld, faster_is_right=True)
    axes.set_xlabel("Decode speed, tokens per second, one stream")
    alt = _told(marks, lambda row: f"{figures.rate(row.decode_per_s)} tok/s")
    return Plot("kld_vs_decode", title, png(figure), f"{title}. {alt}")


def _told(marks: Sequence[_Mark], where: Callable[[Row], str]) -> str:
    """Return the figures of a plot in words, for who cannot see it."""
    told = [
        f"{mark.row.label}: {where(mark.row)}, "
        f"{'the reference' if mark.row.is_reference else figures.kl(mark.row.kld)}"
        for mark in sorted(marks, key=lambda mark: mark.x)
    ]
    return f"Mean KL in nats per token: {'; '.join(told)}."


def _marks(placed: Sequence[tuple[Row, tuple[float, float, float]]]) -> list[_Mark]:
    """Return what a log axis can show; the reference stands at its lower edge.

    Empty when only the reference is left.
    """
    marks = [
        _Mark(row, *across, *_kld_ends(row))
        for row, across in placed
        if not row.is_reference and math.isfinite(row.kld) and row.kld > 0
    ]
    if not marks:
        return []
    edge = min(mark.y_low for mark in marks) / 2.5
    return marks + [
        _Mark(row, *across, edge, edge, edge)
        for row, across in placed
        if row.is_reference
    ]


def _kld_ends(row: Row) -> tuple[float, float, float]:
    """Return the mean KL and the ends of its interval, kept above zero."""
    kld, high = row.kld, row.kld_bound
    low = row.quality.kld.low if row.quality else kld
    return (
        kld,
        max(low, kld / 3) if math.isfinite(low) else kld,
        high if math.isfinite(high) else kld,
    )


def _draw(
    axes: Axes,
    marks: Sequence[_Mark],
    pick: str | None,
    max_kld: float,
    *,
    faster_is_right: bool,
) -> None:
    axes.set_yscale("log")
    for mark in marks:
        _draw_mark(axes, mark, chosen=mark.row.label == pick)
    front = _frontier(marks, faster_is_right=faster_is_right)
    axes.plot(*zip(*front, strict=True), color=GREY, linewidth=1, zorder=1)
    ends = [end for mark in marks for end in (mark.y_low, mark.y_high)]
    axes.set_ylim(min(ends) / 1.6, max(*ends, max_kld) * 2)
    axes.margins(x=0.14)
    axes.axhline(max_kld, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    _name_tolerance(axes, marks, max_kld)
    axes.set_ylabel("Mean KL divergence, nats per token (log)")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.tick_params(axis="y", which="minor", length=0)
    left, right = axes.get_xlim()
    points = [
        Point(mark.x, mark.y, _name(mark.row), mark.row.label == pick, mark.bars)
        for mark in marks
    ]
    place_labels(axes, points, lines=[front, [(left, max_kld), (right, max_kld)]])


def _draw_mark(axes: Axes, mark: _Mark, *, chosen: bool) -> None:
    is_reference = mark.row.is_reference
    colour = ORANGE if chosen else INK if is_reference else BLUE
    axes.errorbar(
        mark.x,
        mark.y,
        xerr=[[mark.x - mark.x_low], [mark.x_high - mark.x]],
        yerr=None if is_reference else [[mark.y - mark.y_low], [mark.y_high - mark.y]],
        color=colour,
        elinewidth=1.1,
        capsize=2.5,
        zorder=2,
    )
    axes.plot(
        [mark.x],
        [mark.y],
        marker="D" if is_reference else "o",
        color=colour,
        markerfacecolor="white" if is_reference else colour,
        markersize=9 if chosen else 6.5,
        zorder=3,
    )


def _name(row: Row) -> str:
    name = f"{shortened(row.label)}, {row.bits_per_weight:.2f} bpw"
    return f"{name} (reference: KL 0)" if row.is_reference else name


def _frontier(
    marks: Sequence[_Mark], *, faster_is_right: bool
) -> list[tuple[float, float]]:
    """Return the points that no other beats on both axes, in order."""
    sign = -1 if faster_is_right else 1
    best, front = math.inf, []
    for mark in sorted(marks, key=lambda mark: (sign * mark.x, mark.y)):
        if mark.y < best:
            best = mark.y
            front.append((mark.x, mark.y))
    return front


def _name_tolerance(axes: Axes, marks: Sequence[_Mark], max_kld: float) -> None:
    """Write beside the tolerance line, on the side with fewer points near it."""
    near = [mark.x for mark in marks if 0.2 < mark.y / max_kld < 5]
    middle = sum(axes.get_xlim()) / 2
    right = sum(x > middle for x in near) <= len(near) / 2
    axes.annotate(
        f"tolerance {max_kld:g}",
        (1 if right else 0, max_kld),
        xycoords=("axes fraction", "data"),
        xytext=(-2 if right else 4, 3),
        textcoords="offset points",
        ha="right" if right else "left",
        size=8,
        color=MUTED,
    )
