"""The rows as tables: HTML, aligned text, and cells for anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from localkit.evals.report import figures
from localkit.evals.report.columns import narrow, overview
from localkit.evals.report.frame import to_frame
from localkit.evals.report.subjects import subjects
from localkit.render.table import html_table, plain_table
from localkit.render.text import escape, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.row import Row
    from localkit.evals.report.columns import Column

__all__ = ["Grid", "details", "grid", "html", "plain", "to_frame"]

TERMINAL_WIDTH = 100
_LONG = 24
"""Characters from which a cell may be broken into lines."""
_NAME_WIDTH, _REASON_WIDTH = 26, 30
"""Characters of a name and of a reason in a terminal."""
_LEGEND = "→ to run   ◇ reference   ★ not beaten in size, decode speed and KL at once"


class Grid(NamedTuple):
    """A table's cells as text, with what each column is called."""

    heads: list[str]
    cells: list[list[str]]
    align: str
    caption: str = ""


def grid(rows: Sequence[Row], columns: Sequence[Column], *, caption: str = "") -> Grid:
    """Return the cells; a column that is empty in every row is left out."""
    kept = _filled(rows, columns)
    return Grid(
        [column.head for column in kept],
        [[column.cell(row) for column in kept] for row in rows],
        "".join(column.align for column in kept),
        caption,
    )


def details(rows: Sequence[Row]) -> list[tuple[str, Grid]]:
    """Return title and cells of every subject that has figures."""
    found = [
        (subject.title, grid(rows, subject.columns, caption=subject.caption))
        for subject in subjects(rows)
    ]
    return [(title, cells) for title, cells in found if len(cells.heads) > 1]


def html(
    rows: Sequence[Row], shown: Grid | None = None, *, pick: str | None = None
) -> Markup:
    """Return a table with inline styles, the pick set off; default: the overview."""
    cells = shown or grid(rows, overview(rows))
    return html_table(
        cells.heads,
        [[_unbroken(text) for text in line] for line in cells.cells],
        align=cells.align,
        highlight=[index for index, row in enumerate(rows) if row.label == pick],
        caption=cells.caption,
        row_headers=True,
    )


def _unbroken(text: str) -> Markup | str:
    """Return a cell; a short one stays on one line, figures with their units."""
    if len(text) > _LONG:
        return text
    return Markup('<span style="white-space:nowrap">{}</span>').format(escape(text))


def plain(
    rows: Sequence[Row], *, pick: str | None = None, width: int = TERMINAL_WIDTH
) -> str:
    """Return the overview as aligned text; an arrow marks the pick.

    What does not fit the width is left out, the last column first, and named.
    """
    columns = _filled(rows, narrow(rows))
    left_out: list[str] = []
    while True:
        text = _plain(rows, columns, pick)
        if max(map(len, text.splitlines())) <= width or len(columns) < 3:
            break
        left_out.insert(0, columns[-1].head)
        columns = columns[:-1]
    notes = [_LEGEND]
    if left_out:
        notes.append(
            f"no room for {figures.listing(left_out)}: --report and to_frame() have it"
        )
    return "\n".join([text, "", *notes])


def _plain(rows: Sequence[Row], columns: Sequence[Column], pick: str | None) -> str:
    return plain_table(
        ["", *(column.head for column in columns)],
        [
            [
                "→" if row.label == pick else "",
                *(
                    one_line(
                        column.cell(row),
                        limit=_REASON_WIDTH if index else _NAME_WIDTH,
                    )
                    for index, column in enumerate(columns)
                ),
            ]
            for row in rows
        ],
        align="<" + "".join(column.align for column in columns),
    )


def _filled(rows: Sequence[Row], columns: Sequence[Column]) -> list[Column]:
    return [
        column
        for column in columns
        if any(column.cell(row) not in ("", figures.MISSING) for row in rows)
    ]
