"""The terminal as a screen: rich tables and bars, plain text where it is piped.

Results go to standard output, progress and remarks to standard error, so that
``localkit run … > answer.txt`` keeps the answer alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from localkit.cli.progress import Pace, log_lines
from localkit.errors import UsageError
from localkit.events import OnProgress, Progress, no_progress
from localkit.render.table import plain_table
from localkit.render.text import clean, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from localkit.chat.result import Result
    from localkit.cli.screen import Table
    from localkit.evals.comparing.comparison import Comparison
    from localkit.widgets.panel import Panel

_JUSTIFY = {"<": "left", ">": "right", "^": "center"}


class TerminalScreen:
    """Print to the process's standard streams."""

    can_assign = False

    def __init__(self, *, log: bool = False) -> None:
        """Show progress as lines where there is no terminal, if ``log``."""
        self._log = log

    def say(self, text: str) -> None:
        """Print a line."""
        _console().print(clean(text), markup=False, highlight=False, soft_wrap=True)

    def table(self, table: Table) -> None:
        """Print a rich table in a terminal, aligned text elsewhere."""
        console = _console()
        if not table.rows:
            self.say(table.empty)
        elif not console.is_terminal:
            text = plain_table(table.headers, table.rows, align=table.align)
            console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            console.print(_rich_table(table))

    def progress(self) -> AbstractContextManager[OnProgress]:
        """Show a bar with the time left; lines or nothing without a terminal."""
        console = _console(stderr=True)
        if console.is_terminal:
            return _bars(console)
        if self._log:
            return log_lines(
                lambda line: console.print(f"  {line}", markup=False, highlight=False)
            )
        return nullcontext(no_progress)

    def answer(self) -> TerminalAnswer:
        """Print an answer as it comes."""
        return TerminalAnswer()

    def comparison(self, comparison: Comparison) -> None:
        """Print the verdict and the table."""
        self.say(str(comparison))

    def panel(self, panel: Panel) -> None:
        """Print the record."""
        self.say(panel.record.plain)

    def assign(self, name: str, value: object) -> None:  # noqa: ARG002 - never has one
        """Refuse: a process that ends has no namespace."""
        msg = f"there is nothing to assign to {name} in a terminal"
        raise UsageError(msg, hint="use `%llm …` in a notebook")


class TerminalAnswer:
    """Text on standard output while it is sampled, the figures on standard error."""

    def __init__(self) -> None:
        """Write nothing yet."""
        self._out = _console()

    def write(self, text: str) -> None:
        """Print a piece without what would steer the terminal."""
        self._print(clean(text))

    def finish(self, result: Result) -> None:
        """End the line; say how the answer ended and what it took."""
        self._print("\n")
        remarks = _console(stderr=True)
        for line in filter(None, (result.note, result.usage_line())):
            text = one_line(line)
            remarks.print(
                text, style="dim", markup=False, highlight=False, soft_wrap=True
            )

    def _print(self, text: str) -> None:
        self._out.print(text, end="", markup=False, highlight=False, soft_wrap=True)
        self._out.file.flush()


def _console(*, stderr: bool = False) -> Console:
    # Built for each use: it looks up sys.stdout, which tests and IPython replace.
    from rich.console import Console

    return Console(stderr=stderr)


def _rich_table(table: Table) -> object:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    for header, side in zip(table.headers, table.align, strict=True):
        shown.add_column(
            Text(one_line(header)),
            justify=_JUSTIFY[side],  # type: ignore[arg-type] # a Literal
            no_wrap=side == ">",
            overflow="fold",
        )
    for row in table.rows:
        shown.add_row(*(Text(one_line(cell)) for cell in row))
    return shown


@contextmanager
def _bars(console: Console) -> Iterator[OnProgress]:
    """Show the step at hand as a bar, and leave a line for every long one."""
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        task, pace = bars.add_task("", total=None, visible=False), Pace()

        def leave_line() -> None:
            if pace.is_worth_a_line:
                bars.console.print(pace.closing(), style="dim", markup=False)

        def on_progress(progress: Progress) -> None:
            if progress.step != pace.step:
                leave_line()
                bars.reset(task, visible=True)
            pace.update(progress)
            bars.update(
                task,
                description=escape(one_line(progress.step, limit=48)),
                completed=progress.done,
                total=progress.total,
            )

        yield on_progress
        leave_line()
