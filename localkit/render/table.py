"""Tables as HTML that an untrusted notebook shows, and as plain text."""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.render.text import AS_WRITTEN, escape, one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Cell = str | int | float | None
"""What a cell may hold; `Markup` is taken as HTML, anything else as text."""

_BORDER = "1px solid rgba(128,128,128,0.35)"
_TABLE = "border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums"
_ALIGNMENTS = {"<": "left", ">": "right", "^": "center"}
_EMPTY = "–"


def html_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    align: str = "",
    highlight: Collection[int] = (),
    caption: str = "",
    row_headers: bool = False,
) -> Markup:
    """Return a table with inline styles only, so that a saved notebook keeps them.

    Args:
        headers: One per column.
        rows: Cells; a `Markup` cell is HTML, every other one is escaped.
        align: One of ``<``, ``>``, ``^`` per column; columns of numbers default
            to ``>``, others to ``<``.
        highlight: Indices of rows to set off.
        caption: A line above the table.
        row_headers: Whether the first cell of a row names it, to a screen reader.

    Raises:
        ValueError: a row or ``align`` does not have one entry per header.
    """
    sides = [_ALIGNMENTS[side] for side in _sides(headers, rows, align)]
    head = Markup("").join(
        Markup(
            '<th scope="col" style="text-align:{};padding:5px 10px;'
            'border-bottom:2px solid rgba(128,128,128,0.6);white-space:nowrap">{}</th>'
        ).format(side, _cell_html(header))
        for header, side in zip(headers, sides, strict=True)
    )
    body = Markup("").join(
        _row_html(row, sides, highlighted=index in highlight, named=row_headers)
        for index, row in enumerate(rows)
    )
    title = Markup("")
    if caption:
        title = Markup(
            '<caption style="text-align:left;font-weight:600;padding:4px 0">'
            "{}</caption>"
        ).format(escape(caption))
    return Markup(
        '<table class="{}" style="{}">{}<thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table>"
    ).format(AS_WRITTEN, _TABLE, title, head, body)


def plain_table(
    headers: Sequence[str], rows: Sequence[Sequence[Cell]], *, align: str = ""
) -> str:
    """Return the same table as aligned text, the same for the same cells.

    Raises:
        ValueError: a row or ``align`` does not have one entry per header.
    """
    sides = _sides(headers, rows, align)
    grid = [[_cell_text(cell) for cell in row] for row in [headers, *rows]]
    widths = [max(map(_width, column)) for column in zip(*grid, strict=True)]
    lines = [
        "  ".join(
            _pad(text, width, side)
            for text, width, side in zip(line, widths, sides, strict=True)
        ).rstrip()
        for line in grid
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]])


def _sides(headers: Sequence[str], rows: Sequence[Sequence[Cell]], align: str) -> str:
    for index, row in enumerate(rows):
        if len(row) != len(headers):
            msg = f"row {index} has {len(row)} cells for {len(headers)} headers"
            raise ValueError(msg)
    if not align:
        return "".join(
            ">" if _is_numeric([row[column] for row in rows]) else "<"
            for column in range(len(headers))
        )
    if len(align) != len(headers) or set(align) - set(_ALIGNMENTS):
        msg = f"align is {align!r} but must be one of <, >, ^ per header"
        raise ValueError(msg)
    return align


def _is_numeric(cells: Sequence[Cell]) -> bool:
    present = [cell for cell in cells if cell is not None]
    return bool(present) and all(isinstance(cell, int | float) for cell in present)


def _row_html(
    row: Sequence[Cell], sides: Sequence[str], *, highlighted: bool, named: bool
) -> Markup:
    style = "background:rgba(64,140,220,0.16);font-weight:600" if highlighted else ""
    cells = Markup("").join(
        Markup(
            '<{} style="text-align:{};padding:4px 10px;border-bottom:{}{}">{}</{}>'
        ).format(
            Markup('th scope="row"') if named and not index else "td",
            side,
            _BORDER,
            ";font-weight:inherit" if named and not index else "",
            _cell_html(cell),
            "th" if named and not index else "td",
        )
        for index, (cell, side) in enumerate(zip(row, sides, strict=True))
    )
    return Markup('<tr style="{}">{}</tr>').format(style, cells)


def _cell_html(cell: Cell) -> Markup:
    return cell if isinstance(cell, Markup) else escape(_cell_text(cell))


def _cell_text(cell: Cell) -> str:
    """Return the cell on one line; missing and unscored values as a dash."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return _EMPTY
    if isinstance(cell, Markup):
        return one_line(cell.striptags())
    return one_line(str(cell))


def _width(text: str) -> int:
    """Return the columns that ``text`` takes in a monospaced font."""
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def _pad(text: str, width: int, side: str) -> str:
    missing = width - _width(text)
    left = {"<": 0, ">": missing, "^": missing // 2}[side]
    return " " * left + text + " " * (missing - left)
