"""Labels beside points that do not run into each other."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from localkit.evals.report.plot_style import INK, MUTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

_NEAR, _FAR = 9, 24
"""Offsets from the point in typographic points; far ones get a leader line."""
_SPOTS = [
    (dx * reach, dy * reach)
    for reach in (_NEAR, _FAR, 38)
    for dx, dy in (
        (1, 0.55),
        (-1, 0.55),
        (1, -0.55),
        (-1, -0.55),
        (0, 1.1),
        (0, -1.1),
        (1.3, 0),
        (-1.3, 0),
    )
]


class Point(NamedTuple):
    """A labelled point in data coordinates, with the extent of its error bars."""

    x: float
    y: float
    text: str
    strong: bool = False
    bars: tuple[float, float, float, float] | None = None
    """Left, right, bottom and top ends in data coordinates."""


class _Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: _Box) -> float:
        """Return the shared area."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)


def place_labels(
    axes: Axes,
    points: Sequence[Point],
    *,
    lines: Sequence[Sequence[tuple[float, float]]] = (),
) -> None:
    """Write each point's text where it covers the least of what is there.

    Greedy, most crowded point first; axes limits and scale must be final.
    ``lines`` are polylines in data coordinates to keep clear of.
    """
    from matplotlib.patheffects import withStroke

    figure = axes.get_figure(root=True)
    if figure is None:
        return
    figure.draw_without_rendering()
    taken = [box for point in points for box in _obstacles(axes, point)]
    taken += [box for line in lines for box in _along(axes, line)]
    inside = _box_of(axes.get_window_extent())
    order = sorted(points, key=lambda point: -_crowding(axes, point, points))
    for point in order:
        label = axes.annotate(
            point.text,
            (point.x, point.y),
            textcoords="offset points",
            xytext=_SPOTS[0],
            size=8.5,
            weight="bold" if point.strong else "normal",
            color=INK,
            ha="left",
            va="center",
            annotation_clip=False,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            zorder=4,
        )
        best = min(
            range(len(_SPOTS)),
            key=lambda index: _cost(_move(label, index), index, taken, inside),
        )
        taken.append(_move(label, best))
        if max(map(abs, _SPOTS[best])) > 2 * _NEAR:
            _leader(axes, label, point)


def _obstacles(axes: Axes, point: Point) -> list[_Box]:
    x, y = axes.transData.transform((point.x, point.y))
    boxes = [_Box(x - 8, y - 8, x + 8, y + 8)]
    if point.bars is not None:
        left, right, bottom, top = point.bars
        x0, y0 = axes.transData.transform((left, bottom))
        x1, y1 = axes.transData.transform((right, top))
        boxes += [_Box(x0, y - 3, x1, y + 3), _Box(x - 3, y0, x + 3, y1)]
    return boxes


def _along(axes: Axes, line: Sequence[tuple[float, float]]) -> list[_Box]:
    """Return small boxes along a polyline, one every ten pixels."""
    import numpy as np

    corners = axes.transData.transform(line)
    boxes = []
    for start, end in itertools.pairwise(corners):
        steps = max(2, int(np.hypot(*(end - start)) / 10))
        for x, y in np.linspace(start, end, steps):
            boxes.append(_Box(x - 5, y - 2, x + 5, y + 2))
    return boxes


def _crowding(axes: Axes, point: Point, points: Sequence[Point]) -> float:
    here = axes.transData.transform((point.x, point.y))
    there = axes.transData.transform([(other.x, other.y) for other in points])
    gaps = ((there - here) ** 2).sum(axis=1) ** 0.5
    return float(sum(1 / (1 + gap) for gap in gaps))


def _move(label: Annotation, index: int) -> _Box:
    dx, dy = _SPOTS[index]
    label.set_position((dx, dy))
    label.set_horizontalalignment("left" if dx > 0 else "right" if dx < 0 else "center")
    return _box_of(label.get_window_extent())


def _box_of(extent: object) -> _Box:
    return _Box(*extent.extents)  # type: ignore[attr-defined]  # a matplotlib Bbox


def _cost(box: _Box, index: int, taken: list[_Box], inside: _Box) -> float:
    area = (box.right - box.left) * (box.top - box.bottom)
    outside = area - box.overlap(inside)
    return sum(map(box.overlap, taken)) + 2 * outside + 4 * index


def _leader(axes: Axes, label: Annotation, point: Point) -> None:
    axes.annotate(
        "",
        (point.x, point.y),
        textcoords="offset points",
        xytext=label.get_position(),
        arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkB": 5},
        annotation_clip=False,
    )
