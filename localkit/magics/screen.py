"""The notebook as a screen: static tables, answers in place, a bar that goes by."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.cli.progress import QUIET_S, Pace, duration
from localkit.cli.terminal import TerminalScreen
from localkit.events import OnProgress, Progress, no_progress
from localkit.magics.answer import Format, NotebookAnswer, NotebookColumns
from localkit.render.audience import audience
from localkit.render.slot import Slot
from localkit.render.table import html_table, plain_table
from localkit.render.text import clean, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from localkit.cli.screen import AnswerView, Table
    from localkit.evals.comparing.comparison import Comparison
    from localkit.widgets.panel import Panel

_log = logging.getLogger(__name__)
_SHOW_AFTER_S = 0.5
_UPDATE_EVERY_S = 0.25
_BAR_WIDTH = 24
_QUIET = "opacity:0.7;font-size:0.9em"


class NotebookScreen:
    """Display in the cell that runs; assign in the user's namespace."""

    can_assign = True

    @property
    def names(self) -> Mapping[str, object]:
        """The user's namespace, for options that name Python values."""
        names: Mapping[str, object] = self._shell.user_ns
        return names

    @property
    def is_watched(self) -> bool:
        """Whether a front end shows the cell while it runs."""
        return self._audience == "front end"

    def __init__(self, shell: InteractiveShell) -> None:
        """Look who watches this cell."""
        self._shell = shell
        self._audience = audience(shell)
        self.assigned = False
        """Whether a value went to a name."""
        self.unshown: Comparison | None = None
        """What the cell's own value will show, unless it is assigned."""

    def say(self, text: str) -> None:
        """Display a line as plain text."""
        Slot().show({"text/plain": clean(text)})

    def table(self, table: Table) -> None:
        """Display a table that reads in a saved, untrusted notebook."""
        if not table.rows:
            self.say(table.empty)
            return
        cells = table.headers, table.rows
        data = {
            "text/plain": plain_table(*cells, align=table.align),
            "text/html": str(html_table(*cells, align=table.align)),
        }
        kept = {"localkit": dict(table.metadata)} if table.metadata else None
        Slot().show(data, kept)

    def progress(self) -> AbstractContextManager[OnProgress]:
        """Show a bar where someone watches."""
        if self._audience == "front end":
            return _bar()
        if self._audience == "terminal":
            return TerminalScreen().progress()
        return nullcontext(no_progress)

    def answer(
        self, *, stream: bool = True, fmt: Format = "md", quiet: bool = False
    ) -> AnswerView:
        """Show one answer: as it comes if ``stream`` and someone watches."""
        if self._audience == "terminal" and not quiet:
            return TerminalScreen().answer()
        live = stream and self._audience == "front end"
        return NotebookAnswer(live=live, fmt=fmt, quiet=quiet)

    def answers(
        self,
        titles: Sequence[str],
        *,
        stream: bool = True,
        fmt: Format = "md",
        quiet: bool = False,
    ) -> NotebookColumns:
        """Show several answers side by side, a column each; otherwise as `answer`."""
        live = stream and self._audience == "front end"
        return NotebookColumns(titles, live=live, fmt=fmt, quiet=quiet)

    def aside(self, text: str) -> None:
        """Display a quiet line to who watches; else it goes to the log.

        For what depends on earlier runs: a notebook that runs again shows the same.
        """
        if self._audience == "nobody":
            _log.info("%s", text)
        else:
            self.remark(text)

    def remark(self, text: str) -> None:
        """Display a quiet line."""
        line = clean(text)
        html = Markup('<div style="{}">{}</div>').format(_QUIET, line)
        Slot().show({"text/plain": line, "text/html": str(html)})

    def comparison(self, comparison: Comparison) -> None:
        """Keep it as the cell's value: IPython shows that."""
        self.unshown = comparison

    def panel(self, panel: Panel) -> None:
        """Display the widget and its record."""
        panel.show(self._audience)

    def assign(self, name: str, value: object) -> None:
        """Put ``value`` under ``name`` into the user's namespace."""
        self._shell.user_ns[name] = value
        self.assigned = True


@contextmanager
def _bar() -> Iterator[OnProgress]:
    """Redraw a line of text in place; leave one line if it took a while.

    Text, not a widget: a saved notebook keeps it, and no state has to be found
    again to show it.
    """
    started = time.monotonic()
    pace = Pace()
    slot = Slot(live=True)
    drawn_at = started

    def on_progress(progress: Progress) -> None:
        nonlocal drawn_at
        pace.update(progress)
        now = time.monotonic()
        if now - started >= _SHOW_AFTER_S and now - drawn_at >= _UPDATE_EVERY_S:
            drawn_at = now
            slot.show(
                {"text/plain": f"{_blocks(pace.share)} {one_line(pace.sentence())}"}
            )

    ending = "stopped after"
    try:
        yield on_progress
        ending = "took"
    finally:
        seconds = time.monotonic() - started
        if seconds >= QUIET_S or not slot.is_empty:
            slot.show({"text/plain": f"{ending} {duration(seconds)}"})


def _blocks(share: float | None) -> str:
    """Return a bar of fixed width; empty where the end is unknown."""
    filled = round((share or 0.0) * _BAR_WIDTH)
    return f"{'█' * filled}{'░' * (_BAR_WIDTH - filled)}"
