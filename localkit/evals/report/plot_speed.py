"""Figure of decode speed against file size, empty and behind a long context."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from localkit.evals.report import figures
from localkit.evals.report.plot_labels import Point, place_labels
from localkit.evals.report.plot_style import (
    GRID,
    MUTED,
    Plot,
    canvas,
    colour_of,
    png,
    shortened,
    size_unit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.row import Row, Spread


def decode_vs_size(
    rows: Sequence[Row], pick: str | None, bandwidth_per_s: float | None = None
) -> Plot | None:
    """Draw decode speed by file size; None where `kld_vs_decode` says as much.

    Adds the speed at the deepest context that was timed, and the roofline of a
    memory ``bandwidth_per_s`` in bytes per second: every token reads all weights once.
    """
    shown = [row for row in rows if row.speed and row.file_size]
    depth = max(
        (one.depth for row in shown if row.speed for one in row.speed.at_depth),
        default=0,
    )
    if not shown or not (depth or bandwidth_per_s):
        return None
    unit, unit_name = size_unit(max(row.file_size for row in shown))
    title = _slower(shown, pick, depth) if depth else "Decode speed by file size"
    parts = ["Median and quartiles"]
    if depth:
        parts.append(f"filled: empty cache, hollow: behind {depth:,} tokens")
    if bandwidth_per_s:
        parts.append("dashed: what the memory's bandwidth allows")
    figure, axes = canvas(title, "; ".join(parts))
    points, fastest = [], 0.0
    for row in shown:
        x = row.file_size / unit
        if row.speed is None:
            continue
        pairs = [(row.speed.decode, True)]
        if deep := _at(row, depth):
            pairs.append((deep, False))
            axes.plot(
                [x, x],
                [row.speed.decode.median, deep.median],
                color=MUTED,
                linewidth=0.8,
                zorder=1,
            )
        for spread, filled in pairs:
            colour = colour_of(row, pick)
            axes.errorbar(
                x,
                spread.median,
                yerr=[[spread.median - spread.low], [spread.high - spread.median]],
                fmt="D" if row.is_reference else "o",
                color=colour,
                markerfacecolor=colour if filled else "white",
                markersize=6,
                elinewidth=1.1,
                capsize=2.5,
                zorder=3,
            )
            fastest = max(fastest, spread.high)
        decode = row.speed.decode
        points.append(
            Point(
                x,
                decode.median,
                shortened(row.label),
                row.label == pick,
                (x, x, min(decode.low, deep.median if deep else math.inf), decode.high),
            )
        )
    axes.margins(x=0.14)
    axes.set_ylim(0, fastest * 1.15)
    roofline: list[tuple[float, float]] = []
    if bandwidth_per_s:
        left, right = axes.get_xlim()
        sizes = [left + (right - left) * step / 60 for step in range(61)]
        roofline = [(x, bandwidth_per_s / (x * unit)) for x in sizes if x > 0]
        axes.plot(*zip(*roofline, strict=True), color=MUTED, lw=1, ls=(0, (4, 3)))
        axes.set_xlim(left, right)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_xlabel(f"File size, {unit_name}")
    axes.set_ylabel("Decode, tokens per second")
    top = axes.get_ylim()[1]
    inside = [(x, y) for x, y in roofline if y < top]
    place_labels(axes, points, lines=[inside] if len(inside) > 1 else [])
    told = "; ".join(_told(row, depth) for row in shown)
    return Plot("decode_vs_size", title, png(figure), f"{title}. {told}.")


def _at(row: Row, depth: int) -> Spread | None:
    """Return the decode speed behind ``depth`` tokens."""
    found = row.speed.at_depth if row.speed and depth else ()
    return next((one.decode for one in found if one.depth == depth), None)


def _slower(rows: Sequence[Row], pick: str | None, depth: int) -> str:
    """Return what the context costs the pick, else the first that was timed."""
    timed = [row for row in rows if _at(row, depth)]
    row = next((row for row in timed if row.label == pick), timed[0])
    deep = _at(row, depth)
    lost = 1 - deep.median / row.decode_per_s if deep else 0.0
    return (
        f"Behind {depth:,} tokens {row.label} decodes {abs(100 * lost):.0f} % "
        f"{'slower' if lost > 0 else 'faster'}"
    )


def _told(row: Row, depth: int) -> str:
    deep = _at(row, depth)
    behind = f", {figures.rate(deep.median)} behind {depth:,} tokens" if deep else ""
    return (
        f"{row.label}: {figures.size(row.file_size)}, "
        f"{figures.rate(row.decode_per_s)} tok/s{behind}"
    )
