"""The notebook as a screen: static tables, answers in place, a bar that goes by."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from localkit.cli.progress import QUIET_S, Pace, duration
from localkit.cli.terminal import TerminalScreen
from localkit.events import OnProgress, Progress, no_progress
from localkit.magics.answer import Format, NotebookAnswer
from localkit.render.audience import audience
from localkit.render.slot import Slot
from localkit.render.table import html_table, plain_table
from localkit.render.text import clean, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from IPython.core.interactiveshell import InteractiveShell

    from localkit.cli.screen import AnswerView, Table
    from localkit.evals.comparing.comparison import Comparison
    from localkit.widgets.panel import Panel

_SHOW_AFTER_S = 0.5
_UPDATE_EVERY_S = 0.25
_BAR_WIDTH = 24


class NotebookScreen:
    """Display in the cell that runs; assign in the user's namespace."""

    can_assign = True

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
        Slot().show(data)

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
