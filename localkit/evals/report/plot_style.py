"""How the report's figures look: one palette, one canvas, quiet axes."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.render.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from localkit.evals.comparing.row import Row

INK = "#1f2933"
MUTED = "#66727f"
GRID = "#e4e8ec"
# Okabe and Ito's palette: told apart with every kind of colour blindness.
BLUE = "#0072b2"
ORANGE = "#d55e00"
AMBER = "#e69f00"
GREY = "#9aa5b1"
GREEN = "#009e73"
PURPLE = "#cc79a7"
SERIES = ((BLUE, "o"), (AMBER, "s"), (GREEN, "^"), (PURPLE, "D"), (INK, "v"))
"""Colour and marker of each series: one tells them apart without the other."""
DPI = 144
_SIZE = (6.4, 4.2)
_TITLE_WIDTH, _SUBTITLE_WIDTH = 60, 88
"""Characters of a line above the figure."""
_NAME_WIDTH = 34
_CHARACTER = 0.078
"""Inches of one, in the names beside bars."""
_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "svg.fonttype": "none",
}


class Plot(NamedTuple):
    """One figure of the report."""

    name: str
    """Stem of its file."""
    title: str
    """The finding, as written above the figure."""
    png: bytes
    alt: str = ""
    """The finding and its figures, for who cannot see them; empty: the title."""


def canvas(
    title: str, subtitle: str, *, height: float = _SIZE[1], names: Sequence[str] = ()
) -> tuple[Any, Any]:
    """Return a new figure and its axes, titled, with quiet spines.

    ``names`` will stand left of the axes. The figure belongs to no global state, so
    it is drawn in any thread.
    """
    figure, (axes,) = panels(title, subtitle, height=height, names=names, count=1)
    return figure, axes


def panels(
    title: str, subtitle: str, *, height: float, names: Sequence[str], count: int
) -> tuple[Any, list[Any]]:
    """Return a new figure with ``count`` axes side by side."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heading = textwrap.wrap(one_line(title), _TITLE_WIDTH) or [""]
    under = textwrap.wrap(one_line(subtitle), _SUBTITLE_WIDTH) or [""]
    extra = 0.2 * (len(heading) - 1) + 0.17 * (len(under) - 1)
    height += extra
    longest = max((len(shortened(name)) for name in names), default=0)
    left = max(0.115, (longest * _CHARACTER + 0.2) / _SIZE[0])
    width = (0.97 - left) / count
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(_SIZE[0], height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        bottom, head = 0.58 / height, (0.82 + extra) / height
        shown = [
            figure.add_axes(
                (
                    left + index * width,
                    bottom,
                    width - (0.02 if count > 1 else 0),
                    1 - head - bottom,
                )
            )
            for index in range(count)
        ]
        x, y = 0.025, 1 - 0.16 / height
        figure.text(
            x, y, "\n".join(heading), size=11.5, weight="bold", va="top", color=INK
        )
        y -= (0.27 + 0.2 * (len(heading) - 1)) / height
        figure.text(x, y, "\n".join(under), size=9, va="top", color=MUTED)
    for axes in shown:
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.set_axisbelow(True)
        axes.tick_params(length=3, width=0.8)
    return figure, shown


def name_bars(axes: Axes, rows: Sequence[Row], pick: str | None) -> None:
    """Write the labels of rows left of their bars, top to bottom, the pick bold."""
    names = [shortened(row.label) for row in rows]
    axes.set_yticks(range(len(rows)), names, size=9, color=INK)
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if row.label == pick else "normal")
    quiet_rows(axes, len(rows))


def quiet_rows(axes: Axes, count: int) -> None:
    """Put ``count`` rows top to bottom, with lines to read values by."""
    axes.set_ylim(count - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.8)


def shortened(name: str) -> str:
    """Return a name that leaves room for the figure beside it."""
    return one_line(name, limit=_NAME_WIDTH)


def bar_height(count: int) -> float:
    """Return the inches of a figure with one bar a candidate."""
    return 1.75 + 0.34 * count


def colour_of(row: Row, pick: str | None) -> str:
    """Return the colour of a candidate: the pick and the reference stand out."""
    return ORANGE if row.label == pick else INK if row.is_reference else BLUE


def size_unit(largest: float) -> tuple[int, str]:
    """Return how many bytes a unit of an axis has, and its name."""
    return (2**30, "GiB") if largest >= 2 * 2**30 else (2**20, "MiB")


def legend(figure: Figure, axes: Axes) -> None:
    """Draw the legend in the lower right corner, in muted text without a frame."""
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="lower right",
        bbox_to_anchor=(0.985, 0.0),
        ncols=4,
        frameon=False,
        labelcolor=MUTED,
        fontsize=8.5,
        handlelength=1.2,
    )


def png(figure: Figure) -> bytes:
    """Return the figure as PNG bytes; equal data gives equal bytes."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context(_RC):
        figure.savefig(
            buffer,
            format="png",
            dpi=DPI,
            metadata={"Software": None},
            facecolor="white",
        )
    return buffer.getvalue()
