"""How the report's figures look: one palette, one canvas, quiet axes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#66727f"
GRID = "#e4e8ec"
# Okabe and Ito's palette: told apart with every kind of colour blindness.
BLUE = "#0072b2"
ORANGE = "#d55e00"
AMBER = "#e69f00"
GREY = "#9aa5b1"
DPI = 144
_SIZE = (6.4, 4.2)
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
    """The finding, as written above the figure; also its alternative text."""
    png: bytes


def canvas(title: str, subtitle: str, *, height: float = _SIZE[1]) -> tuple[Any, Any]:
    """Return a new figure and its axes, titled, with quiet spines.

    The figure belongs to no global state, so it is drawn in any thread.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_RC):
        figure = Figure(figsize=(_SIZE[0], height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        head = 0.82 / height
        axes = figure.add_axes((0.115, 0.58 / height, 0.855, 1 - head - 0.58 / height))
        x, y = 0.025, 1 - 0.16 / height
        figure.text(x, y, title, size=11.5, weight="bold", va="top", color=INK)
        figure.text(x, y - 0.27 / height, subtitle, size=9, va="top", color=MUTED)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(length=3, width=0.8)
    return figure, axes


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
