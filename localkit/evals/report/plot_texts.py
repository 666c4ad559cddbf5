"""Figures of text: how probabilities move, and loss text by text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from localkit.evals.report import figures
from localkit.evals.report.plot_style import (
    GRID,
    INK,
    MUTED,
    SERIES,
    Plot,
    bar_height,
    canvas,
    colour_of,
    legend,
    name_bars,
    png,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.row import Row

_BANDS = ((1.0, 99.0, 0.22), (5.0, 95.0, 0.42), (25.0, 75.0, 0.85))
"""Lower and upper percentile of a band, and how strongly it is drawn."""
_LINEAR = 1.0
"""Points on either side of zero that are drawn to scale; beyond them log."""


def dp_ribbon(rows: Sequence[Row], pick: str | None) -> Plot | None:
    """Draw percentiles of the change of the observed token's probability."""
    shown = [row for row in rows if not row.is_reference and _percentiles(row)]
    if not shown:
        return None
    title = _lean(shown)
    figure, axes = canvas(
        title,
        "Change of the probability of the token that came; bands hold 50, 90 and 98 % "
        "of the tokens. Even on both sides: noise",
        height=bar_height(len(shown)),
        names=[row.label for row in shown],
    )
    widest = _LINEAR
    for index, row in enumerate(shown):
        at = _percentiles(row)
        colour = colour_of(row, pick)
        for low, high, strength in _BANDS:
            if low not in at or high not in at:
                continue
            axes.barh(
                index,
                at[high] - at[low],
                left=at[low],
                height=0.62,
                color=colour,
                alpha=strength,
                linewidth=0,
            )
            widest = max(widest, -at[low], at[high])
        if 50.0 in at:
            axes.plot(
                [at[50.0]] * 2, [index - 0.31, index + 0.31], color="white", lw=1.6
            )
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set_xscale("symlog", linthresh=_LINEAR, linscale=0.7)
    reach = widest * 1.25
    axes.set_xlim(-reach, reach)
    steps = [step for step in (1, 3, 10, 30, 100) if step <= reach]
    ticks = [*(-step for step in reversed(steps)), 0, *steps]
    names = [f"{tick:+d}".replace("-", "−") if tick else "0" for tick in ticks]
    axes.set_xticks(ticks, names)
    axes.minorticks_off()
    name_bars(axes, shown, pick)
    axes.set_xlabel("Δp, percentage points (log beyond ±1)")
    told = "; ".join(
        f"{row.label}: 5 % of the tokens below {figures.signed(at[5.0], 1)}, 5 % above "
        f"{figures.signed(at[95.0], 1)} points"
        for row in shown
        if {5.0, 95.0} <= (at := _percentiles(row)).keys()
    )
    return Plot("dp", title, png(figure), f"{title}. {told}.")


def _percentiles(row: Row) -> dict[float, float]:
    """Return Δp in points by percentage of tokens."""
    found = row.quality.dp_percentiles if row.quality else ()
    return {
        float(percent): 100 * value for percent, value in found if math.isfinite(value)
    }


def _lean(rows: Sequence[Row]) -> str:
    """Return whose probabilities move down more than up, beyond their interval."""
    leaning = [
        row.label
        for row in rows
        if row.quality and row.quality.dp and row.quality.dp.high < 0
    ]
    if not leaning:
        return "No candidate leans: probabilities move as often up as down"
    if len(leaning) == len(rows) and len(rows) > 1:
        return "All candidates lean to loss: what came is less likely"
    return (
        f"{figures.listing(leaning)} "
        f"{'leans' if len(leaning) == 1 else 'lean'} to loss: what came is less likely"
    )


def kld_by_text(rows: Sequence[Row], pick: str | None) -> Plot | None:
    """Draw mean KL text by text; None with less than two texts."""
    shown = [
        row
        for row in rows
        if not row.is_reference and any(part.kld.value > 0 for part in row.by_text)
    ]
    names = list(dict.fromkeys(part.text for row in shown for part in row.by_text))
    if len(names) < 2:
        return None
    title = _hardest(shown, pick)
    figure, axes = canvas(
        title,
        "Mean KL divergence by text; bars: 95 % interval, clustered by chunk",
        height=bar_height(len(shown)) + 0.08 * len(shown),
        names=[row.label for row in shown],
    )
    axes.set_xscale("log")
    step = 0.66 / len(names)
    for number, name in enumerate(names):
        colour, marker = SERIES[number % len(SERIES)]
        for index, row in enumerate(shown):
            part = next((part for part in row.by_text if part.text == name), None)
            if part is None or not part.kld.value > 0:
                continue
            value, low, high = part.kld.value, part.kld.low, part.kld.high
            low = max(low, value / 3) if math.isfinite(low) else value
            high = high if math.isfinite(high) else value
            axes.errorbar(
                value,
                index + (number - (len(names) - 1) / 2) * step,
                xerr=[[value - low], [high - value]],
                fmt=marker,
                color=colour,
                markersize=5,
                elinewidth=1.1,
                capsize=2,
                label=name if index == 0 else None,
            )
    for index in range(1, len(shown)):
        axes.axhline(index - 0.5, color=GRID, linewidth=0.8)
    name_bars(axes, shown, pick)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.tick_params(axis="x", which="minor", length=2, color=MUTED)
    axes.set_xlabel("nats per token (log)", loc="left")
    legend(figure, axes)
    told = "; ".join(
        f"{row.label}: "
        + ", ".join(f"{part.text} {figures.kl(part.kld.value)}" for part in row.by_text)
        for row in shown
    )
    return Plot("kld_by_text", title, png(figure), f"{title}. {told}.")


def _hardest(rows: Sequence[Row], pick: str | None) -> str:
    """Return where the pick, else the lossiest candidate, loses most."""
    row = next(
        (row for row in rows if row.label == pick), max(rows, key=lambda row: row.kld)
    )
    parts = sorted(row.by_text, key=lambda part: part.kld.value)
    least, most = parts[0], parts[-1]
    if most.kld.low > least.kld.high:
        return (
            f"{row.label} loses most on {most.text}: {figures.kl(most.kld.value)} "
            f"nats, on {least.text} {figures.kl(least.kld.value)}"
        )
    return f"{row.label} loses about as much on every text"
