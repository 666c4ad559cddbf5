"""A table of the report as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.render import as_markdown
from localkit.render.as_markdown import code, inline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.report.table import Grid

_SHORT = 80
"""Characters that a cell shows as plain text; longer ones are code, which wraps."""


def grid_markdown(cells: Grid, bold: Sequence[int] = ()) -> str:
    """Return a table; the rows in ``bold`` are set off."""
    return as_markdown.table(
        [inline(head) for head in cells.heads],
        [
            [_emphasized(text) if index in bold else _text(text) for text in line]
            for index, line in enumerate(cells.cells)
        ],
        align=cells.align,
    )


def _text(text: str) -> str:
    return inline(text) if len(text) <= _SHORT else code(text)


def _emphasized(text: str) -> str:
    return f"**{_text(text)}**" if text else ""
