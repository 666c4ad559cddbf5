"""Evaluation: a run of the results database, as one looks at it."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from localkit.evals.report.figures import decimals, interval
from localkit.evals.runs.database import Runs
from localkit.evals.runs.listing import find_run, names_of, results_of
from localkit.evals.runs.rows import COLUMNS, rows_of
from localkit.evals.runs.summary import summary_of
from localkit.render.table import html_table, plain_table
from localkit.render.text import clean, escape

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from localkit.evals.running.result import SampleResult
    from localkit.evals.runs.listing import Part, Run
    from localkit.evals.runs.record import PartSummary

HEADERS = ("model", "task", "score", "", "95 % interval", "n", "unscored", "missing")
ALIGN = "<<<><>>>"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of one or several models in one or several tasks.

    The answers stay in the results database and are read when they are wanted.
    """

    path: Path
    """The results database."""
    run: Run
    scores: Mapping[tuple[str, str], PartSummary]
    """By model and task."""
    environments: Mapping[tuple[str, str], Mapping[str, str | int]]
    """What may change an answer beside weights and task, by the same: build of the
    engine, backend, instruction sets, KV type, and context length of written ones."""

    @property
    def id(self) -> str:
        """Name of the run: ``localkit runs show ID``."""
        return self.run.id

    def __getitem__(self, key: str | tuple[str, str]) -> PartSummary:
        """Return a score by model and task, or by the one that tells them apart.

        Raises:
            KeyError: there is none, or there are several.
        """
        found = [
            summary
            for names, summary in self.scores.items()
            if key == names or (isinstance(key, str) and key in names)
        ]
        if len(found) != 1:
            raise KeyError(key)
        return found[0]

    def models(self) -> list[tuple[str, str, str]]:
        """Return label, model ref or address, and digest of the weights; each once."""
        found = [
            (part.label, part.model, part.weights_digest) for part in self.run.parts
        ]
        return list(dict.fromkeys(found))

    def settings(self) -> list[str]:
        """Return a line for each environment that answers came about in."""
        lines: dict[str, list[str]] = {}
        for (label, task), environment in self.environments.items():
            words = ", ".join(
                f"{name.replace('_', ' ')} {text}"
                for name, text in environment.items()
                if text != ""
            )
            if words:
                lines.setdefault(words, []).append(f"{label} in {task}")
        if len(lines) == 1:
            return list(lines)
        return [f"{', '.join(whose)}: {words}" for words, whose in lines.items()]

    def results(
        self, model: str | None = None, task: str | None = None
    ) -> list[SampleResult]:
        """Return what a model answered in a task; None: the first.

        Raises:
            KeyError: there is no such model or task in the run.
            ResultsInvalid: an answer is damaged.
        """
        part = self._part(model, task)
        with closing(Runs(self.path)) as runs:
            return list(results_of(runs, part, names_of(runs, part)))

    def _part(self, model: str | None, task: str | None) -> Part:
        for part in self.run.parts:
            if model in (None, part.label) and task in (None, part.task.name):
                return part
        raise KeyError((model, task))

    def to_frame(self) -> pd.DataFrame:
        """Return one row an answer: what was asked, said, and what it got.

        Raises:
            ResultsInvalid: an answer is damaged.
        """
        import pandas as pd

        with closing(Runs(self.path)) as runs:
            rows = list(rows_of(runs, self.run))
        columns = list(COLUMNS)
        extra = dict.fromkeys(name for row in rows for name in row)
        columns += [name for name in extra if name not in COLUMNS]
        return pd.DataFrame(rows, columns=columns)

    def summary(self) -> pd.DataFrame:
        """Return one row a model and task: score, interval, what is unscored."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "model": part.label,
                    "task": part.task.name,
                    "metric": part.task.metric,
                    "score": one.value,
                    "score_low": one.low,
                    "score_high": one.high,
                    "n": one.n_scored,
                    "n_unscored": one.n_unscored,
                    "n_missing": one.n_missing,
                    "interval": one.method,
                    "weights_digest": part.weights_digest,
                }
                for part, one in self._scored()
            ]
        )

    def _scored(self) -> list[tuple[Part, PartSummary]]:
        return [
            (part, self.scores[part.label, part.task.name]) for part in self.run.parts
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return scores and what they were measured on, ready for JSON."""
        from localkit.evals.runs.as_record import evaluation_record

        return evaluation_record(self)

    def rows(self) -> list[tuple[str, ...]]:
        """Return the cells of the table, by `HEADERS`."""
        return [
            (
                part.label,
                part.task.name,
                part.task.metric,
                value(one.value, one.high - one.low),
                ends(one),
                str(one.n_scored),
                str(one.n_unscored or ""),
                str(one.n_missing or ""),
            )
            for part, one in self._scored()
        ]

    def lines(self) -> list[str]:
        """Return what must be known beside the table."""
        how = dict.fromkeys(one.method for _, one in self._scored() if one.n_scored)
        words = [f"Run {self.run.id}, {self.run.status}."]
        words += [f"Intervals: {'; '.join(how)}."] if how else []
        return [*words, *self.run.remarks]

    def __str__(self) -> str:
        """Return the table and the lines below it."""
        table = plain_table(HEADERS, self.rows(), align=ALIGN)
        return clean("\n".join([table, "", *self.lines()]))

    def __repr__(self) -> str:
        """Name the run; no figures, so that logs compare."""
        return f"<Evaluation {self.run.id} {self.run.status}>"

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        """Show the table in a notebook; the arguments are part of the protocol."""
        del include, exclude
        table = html_table(HEADERS, self.rows(), align=ALIGN)
        below = Markup("").join(
            Markup('<p style="margin:2px 0;opacity:0.75">{}</p>').format(escape(line))
            for line in self.lines()
        )
        data = {"text/plain": str(self), "text/html": str(table + below)}
        return data, {"localkit": {"evaluation": self.as_dict()}}


def read_evaluation(path: Path, id_: str) -> Evaluation:
    """Return a run by the start of its id, with its scores.

    The scores of what was interrupted are those of the answers that are there.

    Raises:
        UsageError: there is no such run, or there are several.
        ResultsInvalid: it is damaged.
    """
    with closing(Runs(path)) as runs:
        run = find_run(runs, id_)
        scores = {
            (part.label, part.task.name): summary_of(runs, part) for part in run.parts
        }
        environments = {
            (part.label, part.task.name): runs.environment_of(part.cell)
            for part in run.parts
        }
    return Evaluation(path, run, scores, environments)


def value(score: float, width: float) -> str:
    """Return a score with the digits that its interval leaves it."""
    if math.isnan(score):
        return "–"
    return f"{score:.{min(4, max(2, decimals(width / 2, 2)))}f}"


def ends(summary: PartSummary) -> str:
    """Return the interval of a score; a dash where there is none."""
    estimate = summary.estimate
    return "–" if math.isnan(estimate.low) else interval(estimate, most=4)
