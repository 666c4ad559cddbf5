"""The columns of the report's overview: one table to read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from localkit.evals.report import figures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localkit.evals.comparing.row import Row, Speed, TaskResult


class Column(NamedTuple):
    """One column: its head, and what it shows of a row."""

    head: str
    cell: Callable[[Row], str]
    align: str = ">"


def overview(rows: Sequence[Row], *, tasks: Sequence[str] = ()) -> tuple[Column, ...]:
    """Return the columns that decide: ten at most, and no more for several tasks.

    ``tasks`` are those of rows that hold none yet.
    """
    varied = any(row.variant for row in rows)
    exact = (
        (Column("variant", lambda row: row.variant or "plain", "<"),)
        if varied
        else (BPW,)
    )
    return (
        Column("candidate", starred, "<"),
        *exact,
        FILE,
        NEEDED,
        MAX_CTX,
        Column("decode tok/s", of_speed(lambda speed: figures.spread(speed.decode))),
        Column("mean KL, nats", kld),
        *(
            Column(f"{name}, Δ points", _scored(name))
            for name in (task_names(rows) or list(tasks))[:1]
        ),
        Column("not taken", why_not, "<"),
    )


def narrow(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Return the same for a terminal, the most important columns first."""
    return (
        Column("candidate", lambda row: _short_name(row), "<"),
        Column("KL, nats", kld),
        Column("decode/s", lambda row: figures.rate(row.decode_per_s)),
        NEEDED,
        Column("not taken", why_not, "<"),
        FILE,
        *(Column(f"{name} Δ", _scored(name, 0)) for name in task_names(rows)[:1]),
        BPW,
        MAX_CTX,
    )


def task_names(rows: Sequence[Row]) -> list[str]:
    """Return the names of the tasks, in the order they were asked."""
    return list(dict.fromkeys(task.name for row in rows for task in row.tasks))


def task_of(row: Row, name: str) -> TaskResult | None:
    """Return a row's result on one task."""
    return next((task for task in row.tasks if task.name == name), None)


def name(row: Row) -> str:
    """Return the label; the reference with its mark and where it came from."""
    if not row.is_reference:
        return row.label
    origin = f" (from {row.lossy_origin})" if row.lossy_origin else ""
    return f"{row.label}{origin} ◇"


def starred(row: Row) -> str:
    """Return the name, with a star if it is on the Pareto line.

    Without the variant, which has a column of its own.
    """
    shown = name(row).replace(f", {row.variant}", "", 1) if row.variant else name(row)
    return f"{shown} ★" if row.pareto else shown


def kld(row: Row) -> str:
    """Return the mean KL with its interval; the reference's is a floor."""
    if row.quality is None:
        return figures.MISSING
    if row.is_reference:
        return f"floor {figures.kl(row.kld)}"
    return figures.pm(row.quality.kld)


def same_top(row: Row) -> str:
    """Return how often the likeliest token is the reference's."""
    return figures.percent(row.quality.same_top.value if row.quality else math.nan)


def why_not(row: Row) -> str:
    """Return why the verdict may not take a row."""
    return row.excluded.text if row.excluded else ""


def _short_name(row: Row) -> str:
    mark = " ◇" if row.is_reference else ""
    return f"{row.label}{mark}{' ★' if row.pareto else ''}"


def _scored(task_name: str, places: int = 1) -> Callable[[Row], str]:
    """Return a cell with the paired difference; of the reference, the score."""

    def cell(row: Row) -> str:
        task = task_of(row, task_name)
        if task is None:
            return figures.MISSING
        if row.is_reference or task.difference is None:
            return figures.percent(task.score.value, places=places)
        return figures.points(task.difference, places=places)

    return cell


def _max_ctx(row: Row) -> str:
    if row.max_ctx is None:
        return figures.MISSING
    return f"{row.max_ctx:,}" if row.max_ctx else "none fits"


def memory_cell(kind: str) -> Callable[[Row], str]:
    """Return a cell that shows one kind of `Memory`."""
    return lambda row: figures.size(getattr(row.memory, kind, None))


def of_speed(show: Callable[[Speed], str]) -> Callable[[Row], str]:
    """Return a cell that shows something of `Speed`."""
    return lambda row: show(row.speed) if row.speed else figures.MISSING


NAME = Column("candidate", name, "<")
BPW = Column(
    "bpw",
    lambda row: (
        figures.MISSING
        if math.isnan(row.bits_per_weight)
        else f"{row.bits_per_weight:.2f}"
    ),
)
FILE = Column("file", lambda row: figures.size(row.file_size or None))
NEEDED = Column("memory", memory_cell("needed"))
MAX_CTX = Column("max ctx", _max_ctx)
