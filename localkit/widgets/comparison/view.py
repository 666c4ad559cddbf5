"""A comparison to look into, and to watch while it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from localkit.evals.report.notebook import notebook_markup
from localkit.widgets.comparison.actions import (
    AnyAction,
    ChooseTable,
    Freeze,
    Look,
    Open,
    Send,
)
from localkit.widgets.comparison.answers import Answers
from localkit.widgets.comparison.cells import sheet
from localkit.widgets.comparison.measuring import Measuring
from localkit.widgets.comparison.sending import passages_message, plot_messages
from localkit.widgets.panel import Panel, Record
from localkit.widgets.work import Worker

if TYPE_CHECKING:
    from localkit.evals.comparing.comparison import Comparison
    from localkit.widgets.comparison.actions import Show


class ComparisonView:
    """Figures that sort, every answer behind them, the plots.

    The static report is its record. What its controls do, its methods do.
    """

    def __init__(self, comparison: Comparison | None = None) -> None:
        """Show a comparison; None: one that `measuring` tells of."""
        self.panel = Panel("comparison", self, AnyAction)
        self.measuring = Measuring(self.panel)
        """How far it is, while it is measured."""
        self.comparison = comparison
        self._is_below = False
        self._table = 0
        self.answers = _answers(comparison)
        """The answers; None: there are none."""
        self._work = Worker(on_error=self.panel.fail, on_change=self._redraw)

    def __repr__(self) -> str:
        """Name what it shows, the same at every run."""
        return f"<ComparisonView of {self.comparison or 'a comparison under way'!r}>"

    def _ipython_display_(self) -> None:
        self.panel.show()
        is_watched = self.panel.face is not None
        if is_watched and self.answers is not None and self.answers.is_empty:
            self.look()

    def finish(self, comparison: Comparison, *, is_below: bool = False) -> None:
        """Show the comparison that was measured.

        Where its report ``is_below`` already, the record says how long it took.
        """
        self.comparison = comparison
        self.answers = _answers(comparison)
        self._is_below = is_below
        self.measuring.end()
        self.panel.refresh()
        self.panel.keep()
        self.look()

    def keep_report(self) -> None:
        """Make the whole report the record, after all."""
        self._is_below = False
        self.panel.keep()

    def table(self, index: int) -> None:
        """Show another table of figures; 0 is the overview."""
        self._table = index
        self.panel.refresh()

    def look(
        self,
        show: Show = "all",
        label: str = "",
        *,
        task: str = "",
        text: str = "",
        page: int = 0,
    ) -> None:
        """Show a page of samples; see `Look`.

        By default of the first task, and of the candidate to run.
        """
        if self.answers is not None:
            self.answers.ask(show, label, task, text, page)
            self._work.stop()
            self._work.do(self.answers.find)

    def open(self, index: int) -> None:
        """Show the sample at a place in its task, with both answers."""
        if self.answers is not None:
            self.answers.open(index)
            # After a search under way: stopping that would lose its page.
            self._work.do(self.answers.read)

    def shut(self) -> None:
        """Show no sample."""
        if self.answers is not None:
            self.answers.shut()
        self.panel.refresh()

    def freeze(self) -> None:
        """Leave the static report, and take the controls away."""
        self.panel.freeze()

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether what was asked for is shown, waiting so long at most."""
        return self._work.wait(timeout)

    def act(self, action: AnyAction) -> None:
        """Do what the view asks for."""
        match action:
            case ChooseTable():
                self.table(action.index)
            case Look():
                asked = action.model_dump(exclude={"do"})
                self.look(**asked)
            case Open():
                self.open(action.index)
            case Send():
                self._work.do(lambda _: self._send(action.what))
            case Freeze():
                self.freeze()
            case _:
                self.shut()

    def record(self) -> Record:
        """Return the report; while it is measured, the table so far."""
        if self.comparison is None or self._is_below:
            return self.measuring.record(is_whole=self._is_below)
        plain = repr(self.comparison)
        return Record(
            plain=plain,
            html=notebook_markup(self.comparison),
            title=plain,
            metadata={"comparison": self.comparison.as_dict()},
            folds=not self.measuring.was_watched,
        )

    def state(self) -> dict[str, Any]:
        """Return what the view draws."""
        comparison = self.comparison
        if comparison is None:
            return self.measuring.state()
        return {
            "live": None,
            "title": repr(comparison),
            "headline": comparison.decision.headline,
            "reference": comparison.setup.reference,
            "pick": comparison.pick,
            "sheet": sheet(comparison.rows, self._table).json(),
            "has_plots": True,
            "n_passages": len(comparison.passages),
            "samples": self.answers.state() if self.answers else None,
            "sample": self.answers.detail if self.answers else None,
            "busy": self._work.busy,
        }

    def _send(self, what: Literal["plots", "passages"]) -> None:
        """Answer by messages: large, and not drawn again at every click."""
        if self.comparison is None:
            return
        if what == "passages":
            self.panel.tell(passages_message(self.comparison))
            return
        for message in plot_messages(self.comparison):
            self.panel.tell(message)

    def _redraw(self) -> None:
        if self._work.busy:
            self.panel.tell({"kind": "busy"})
        else:
            self.panel.refresh(keep_error=True)


def _answers(comparison: Comparison | None) -> Answers | None:
    samples = None if comparison is None else comparison.samples
    if comparison is None or samples is None:
        return None
    return Answers(comparison, samples)
