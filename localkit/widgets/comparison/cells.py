"""The candidates as a table that can be sorted: texts, keys, and what is missing."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.evals.report import figures
from localkit.evals.report.columns import overview, task_names
from localkit.evals.report.subjects import subjects
from localkit.evals.running.watch import MEMORY, SPEED, TEXT, task_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from localkit.evals.comparing.row import Row
    from localkit.evals.comparing.standing import Pending
    from localkit.evals.report.columns import Column

WAITS = "…"
OVERVIEW = "Overview"
_NUMBER = re.compile(r"[<~ ]*(?:floor )?([−-]?\d[\d,]*(?:\.\d+)?)\s*(\w+)?")
_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "ms": 1e-3, "k": 1024}

Key = float | str | None


class Cell(NamedTuple):
    """One cell."""

    text: str
    key: Key
    """What the column is sorted by; None comes last."""
    pending: str = ""
    """``waits`` or ``runs``; empty: final."""

    def json(self) -> list[Any]:
        """Return it as the view reads it."""
        return [self.text, self.key, self.pending]


class Sheet(NamedTuple):
    """A table of figures."""

    titles: tuple[str, ...]
    """Of all tables that there are."""
    place: int
    """Which of them this is."""
    caption: str
    heads: tuple[tuple[str, str], ...]
    """Text and alignment."""
    labels: tuple[str, ...]
    """Of the candidate of each line."""
    lines: tuple[tuple[Cell, ...], ...]

    def json(self) -> dict[str, Any]:
        """Return it as the view reads it."""
        return {
            "titles": self.titles,
            "place": self.place,
            "caption": self.caption,
            "heads": self.heads,
            "labels": self.labels,
            "lines": [[cell.json() for cell in line] for line in self.lines],
        }

    @property
    def grid(self) -> tuple[list[str], list[list[str]], str]:
        """Heads, texts and alignment, as a static table takes them."""
        return (
            [head for head, _ in self.heads],
            [[cell.text for cell in line] for line in self.lines],
            "".join(align for _, align in self.heads),
        )


def sheet(rows: Sequence[Row], index: int = 0) -> Sheet:
    """Return one of the tables of measured rows; 0 is the overview."""
    kept = [
        subject for subject in subjects(rows) if len(_filled(subject.columns, rows)) > 1
    ]
    titles = OVERVIEW, *(subject.title for subject in kept)
    index = index if index < len(titles) else 0
    columns = kept[index - 1].columns if index else overview(rows)
    shown = _filled(columns, rows)
    return Sheet(
        titles=titles,
        place=index,
        caption=kept[index - 1].caption if index else "",
        heads=tuple((one.head, one.align) for one in shown),
        labels=tuple(row.label for row in rows),
        lines=tuple(
            tuple(
                Cell(text := one.cell(row), _exact(one.head, row, key_of(text)))
                for one in shown
            )
            for row in rows
        ),
    )


def partial_sheet(
    rows: Sequence[Row],
    pending: Mapping[tuple[str, str], Pending],
    tasks: Sequence[str],
) -> Sheet:
    """Return the overview of rows that are being measured; ``tasks`` will be asked."""
    columns = overview(rows, tasks=tasks)
    parts = {
        "memory": MEMORY,
        "decode tok/s": SPEED,
        "mean KL, nats": TEXT,
        **{f"{name}, Δ points": task_part(name) for name in tasks},
    }
    return Sheet(
        titles=(OVERVIEW,),
        place=0,
        caption="",
        heads=tuple((one.head, one.align) for one in columns),
        labels=tuple(row.label for row in rows),
        lines=tuple(
            tuple(
                _partial(one, row, pending.get((row.label, parts.get(one.head, ""))))
                for one in columns
            )
            for row in rows
        ),
    )


def key_of(text: str) -> Key:
    """Return the number that a cell begins with, in bytes or seconds; or its text."""
    if text in ("", figures.MISSING):
        return None
    found = _NUMBER.match(text)
    if found is None:
        return text.casefold()
    number = float(found[1].replace("−", "-").replace(",", ""))
    return number * _UNITS.get(found[2] or "", 1)


def _partial(column: Column, row: Row, pending: Pending | None) -> Cell:
    text = column.cell(row)
    if pending is None:
        return Cell(text, _exact(column.head, row, key_of(text)))
    far = f"{pending.done:,}"
    if pending.total is not None:
        far += f"/{pending.total:,}"
    is_known = text not in ("", figures.MISSING)
    if pending.running or (is_known and pending.done):
        shown = f"{text} · {far}" if is_known else far
        return Cell(shown, key_of(text), "runs" if pending.running else "waits")
    return Cell(WAITS, None, "waits")


_EXACT: dict[str, Callable[[Row], float]] = {
    "file": lambda row: row.file_size or math.nan,
    "memory": lambda row: row.memory.needed if row.memory else math.nan,
    "max ctx": lambda row: math.nan if row.max_ctx is None else row.max_ctx,
    "decode tok/s": lambda row: row.decode_per_s,
    "mean KL, nats": lambda row: -1.0 if row.is_reference else row.kld,
}
"""Keys of columns whose texts are rounded; the reference is nearest to itself."""


def _exact(head: str, row: Row, otherwise: Key) -> Key:
    if head.endswith(", Δ points"):
        task = next((one for one in row.tasks if head.startswith(one.name)), None)
        if task is None or row.is_reference or task.difference is None:
            return 0.0 if task and row.is_reference else None
        value = task.difference.value
    elif head in _EXACT:
        value = _EXACT[head](row)
    else:
        return otherwise
    return None if math.isnan(value) else value


def _filled(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    return [
        column
        for column in columns
        if any(column.cell(row) not in ("", figures.MISSING) for row in rows)
    ]


def asked_tasks(
    rows: Sequence[Row], pending: Mapping[tuple[str, str], Pending]
) -> list[str]:
    """Return the names of the tasks, asked and to be asked."""
    prefix = task_part("")
    waiting = [part.removeprefix(prefix) for _, part in pending if part not in _PARTS]
    return list(dict.fromkeys([*task_names(rows), *waiting]))


_PARTS = (MEMORY, SPEED, TEXT)
