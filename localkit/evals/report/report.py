"""A comparison as files: the page, the same as Markdown, plots, record, card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from localkit.evals.report.card import model_card
from localkit.evals.report.markdown import to_markdown
from localkit.evals.report.notebook import notebook_html
from localkit.evals.report.page import page_html, record
from localkit.io.atomic import write_atomic
from localkit.io.disk import explained_write_errors

if TYPE_CHECKING:
    from localkit.evals.comparing.comparison import Comparison

__all__ = [
    "ReportFiles",
    "model_card",
    "notebook_html",
    "page_html",
    "save",
    "to_markdown",
]

PLOTS = "plots"
"""Folder of the images beside the page."""


class ReportFiles(NamedTuple):
    """Where a report lies."""

    html: Path
    """One file that needs no other."""
    plots: tuple[Path, ...]
    json: Path
    """Every figure: `Comparison.as_dict`."""
    markdown: Path
    """The same as the page; shows the plots beside it."""
    card: Path
    """A block for a model card."""


def save(comparison: Comparison, folder: Path | str) -> ReportFiles:
    """Write page, Markdown, plots, record and model card block into ``folder``.

    Raises:
        DiskFull: there is no room for them.
        StoreError: the folder may not be written.
    """
    target = Path(folder).expanduser()
    images = {
        target / PLOTS / f"{plot.name}.png": plot.png for plot in comparison.plots
    }
    written = ReportFiles(
        html=target / "report.html",
        plots=tuple(images),
        json=target / "record.json",
        markdown=target / "report.md",
        card=target / "card.md",
    )
    contents = images | {
        written.json: record(comparison).encode(),
        written.markdown: to_markdown(comparison, images=PLOTS).encode(),
        written.card: model_card(comparison).encode(),
        # The page last: where it is, all of it is there.
        written.html: page_html(comparison).encode(),
    }
    with explained_write_errors(sum(map(len, contents.values())), target):
        for path, content in contents.items():
            write_atomic(path, content)
    return written
