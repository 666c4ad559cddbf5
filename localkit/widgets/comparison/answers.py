"""The answers of a comparison: a page of them, and one of them whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.widgets.comparison.actions import Look
from localkit.widgets.comparison.detail import opened
from localkit.widgets.comparison.looking import MOST_COLUMNS, PAGE, find

if TYPE_CHECKING:
    from localkit.evals.comparing.comparison import Comparison
    from localkit.evals.comparing.samples import Samples, Scores
    from localkit.events import CancelToken
    from localkit.widgets.comparison.actions import Show
    from localkit.widgets.comparison.looking import Found


class Answers:
    """What was asked for last, and what came of it.

    `find` and `read` go to the database: in a `Worker`, one at a time.
    """

    def __init__(self, comparison: Comparison, samples: Samples) -> None:
        """Show nothing yet."""
        self._samples = samples
        self._rows = comparison.rows
        self._reference = comparison.setup.reference
        self.others = [row.label for row in self._rows if not row.is_reference]
        """Labels of the candidates, the reference left out."""
        pick = comparison.pick
        self._first = pick if pick in self.others else next(iter(self.others), "")
        self._scores: dict[str, Scores] = {}
        self._asked: Look | None = None
        self._found: Found | None = None
        self._open: int | None = None
        self.detail: dict[str, Any] | None = None
        """The sample that is open, as the view draws it."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for yet."""
        return self._asked is None

    def ask(self, show: Show, label: str, task: str, text: str, page: int) -> None:
        """Take down what to look for; a task or label that is not there: the first."""
        names = [one.name for one in self._samples.tasks]
        self._asked = Look(
            do="look",
            task=task if task in names else names[0],
            show=show,
            label=label if label in self.others else self._first,
            text=text,
            page=page,
        )
        self.shut()

    def open(self, index: int) -> None:
        """Take down which sample to read."""
        self._open = index

    def shut(self) -> None:
        """Show no sample."""
        self._open = self.detail = None

    def find(self, cancel: CancelToken) -> None:
        """Find the page that was asked for.

        Raises:
            UsageError: the answers were removed.
            ResultsInvalid: one of them is damaged.
            Cancelled: ``cancel`` was raised.
        """
        asked = self._asked
        if asked is not None:
            scores = self._known(asked.task)
            self._found = find(self._samples, scores, asked, self._shown(), cancel)

    def read(self, cancel: CancelToken) -> None:
        """Read the sample that is open; raises as `find`."""
        del cancel
        asked, index = self._asked, self._open
        if asked is None or index is None:
            return
        ids = self._known(asked.task).ids
        self.detail = None
        if index < len(ids):
            self.detail = opened(
                self._samples,
                asked.task,
                ids[index],
                index,
                label=asked.label,
                shown=self._shown(),
            )

    def state(self) -> dict[str, Any] | None:
        """Return the page as the view draws it."""
        asked, found = self._asked, self._found
        if asked is None:
            return None
        return {
            "tasks": [task.name for task in self._samples.tasks],
            "candidates": self.others,
            "asked": asked.model_dump(exclude={"do"}),
            "columns": self._shown(),
            "n": len(found.indices) if found else None,
            "first": found.page * PAGE if found else 0,
            "page": found.page if found else 0,
            "n_pages": -(-len(found.indices) // PAGE) if found else 0,
            "items": found.items if found else (),
        }

    def _shown(self) -> list[str]:
        """Return the labels whose answers are shown, in the order of the rows."""
        chosen = self._asked.label if self._asked else ""
        named = dict.fromkeys(filter(None, [self._reference, chosen, *self.others]))
        kept = set(list(named)[:MOST_COLUMNS])
        return [row.label for row in self._rows if row.label in kept]

    def _known(self, task: str) -> Scores:
        if task not in self._scores:
            self._scores[task] = self._samples.scores(task)
        return self._scores[task]
