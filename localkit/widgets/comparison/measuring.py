"""The part of the view that moves while a comparison is measured."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from localkit.evals.report.figures import listing
from localkit.render.pace import Pace, duration
from localkit.render.table import html_table, plain_table
from localkit.render.text import escape, one_line
from localkit.widgets.comparison.cells import asked_tasks, partial_sheet
from localkit.widgets.panel import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.evals.comparing.standing import Standing
    from localkit.events import Progress
    from localkit.widgets.comparison.cells import Sheet
    from localkit.widgets.panel import Panel

_SOONEST_S = 0.25
_SHARE = 1 / 600
"""Part of the time so far between two messages: four a second in the first minutes;
six seconds apart after an hour, which comes to 400 kB."""
_KEEP_S = 10.0
"""How often the table so far is kept, and at least so much later by a tenth."""


class Measuring:
    """Takes progress and rows as they come; sends a message now and then."""

    def __init__(
        self, panel: Panel, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Show nothing yet."""
        self._panel = panel
        self._clock = clock
        self._pace = Pace(clock)
        self._began = self._sent = self._kept = clock()
        self._took: float | None = None
        self._stopped = False
        self._standing: Standing | None = None
        self._sheet: Sheet | None = None
        self.was_watched = False
        """Whether anything was measured under this view."""

    def on_progress(self, progress: Progress) -> None:
        """Say what is being done; for `compare`."""
        self.was_watched = True
        self._pace.update(progress)
        now = self._clock()
        if now - self._sent >= max(_SOONEST_S, _SHARE * (now - self._began)):
            self._sent = now
            self._panel.tell({"kind": "progress", **self._live()})

    def on_rows(self, standing: Standing) -> None:
        """Show the rows so far; for `compare`."""
        self.was_watched = True
        self._standing = standing
        tasks = asked_tasks(standing.rows, standing.pending)
        self._sheet = partial_sheet(standing.rows, standing.pending, tasks)
        self._sent = self._clock()
        self._panel.refresh()
        if self._sent - self._kept >= max(_KEEP_S, (self._sent - self._began) / 10):
            self._kept = self._sent
            self._panel.keep()

    def end(self) -> None:
        """Take down how long it took."""
        self._took = self._clock() - self._began

    def stop(self) -> None:
        """Say that it was stopped, and keep the table so far."""
        self.end()
        self._stopped = True
        self._panel.refresh()
        self._panel.keep()

    def state(self) -> dict[str, Any]:
        """Return what the view draws: the table so far."""
        standing = self._standing
        return {
            "live": self._live(),
            "title": self._title(),
            "headline": "",
            "reference": standing.reference if standing else "",
            "pick": None,
            "sheet": self._sheet.json() if self._sheet else None,
            "has_plots": False,
            "n_passages": 0,
            "samples": None,
            "sample": None,
            "busy": False,
        }

    def record(self, *, is_whole: bool) -> Record:
        """Return the table so far; of what ``is_whole``, how long it took."""
        if is_whole:
            line = f"took {duration(self._took or 0.0)}"
            html = Markup('<span style="opacity:0.75">{}</span>').format(escape(line))
            return Record(line, html, line, folds=False)
        title = self._title()
        if self._sheet is None:
            return Record(title, escape(title), title)
        heads, lines, align = self._sheet.grid
        table = html_table(heads, lines, align=align, caption=title, row_headers=True)
        return Record(
            f"{title}\n\n{plain_table(heads, lines, align=align)}",
            Markup('<div style="overflow-x:auto">{}</div>').format(table),
            title,
            folds=not self._stopped,
        )

    def _live(self) -> dict[str, Any]:
        if self._stopped:
            text = f"stopped after {duration(self._took or 0.0)}; run the same again: "
            return {"text": f"{text}it goes on from here", "share": None, "over": True}
        step = one_line(self._pace.sentence(), limit=200) if self._pace.step else ""
        return {"text": step, "share": self._pace.share, "over": False}

    def _title(self) -> str:
        if self._standing is None:
            return "Comparison"
        reference = self._standing.reference
        others = [row.label for row in self._standing.rows if row.label != reference]
        named = listing(others) or "nothing"
        far = "stopped: the table so far" if self._stopped else "the table so far"
        return (
            f"Comparison of {self._standing.model}: {named} against {reference}, {far}"
        )
