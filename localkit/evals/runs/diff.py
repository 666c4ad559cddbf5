"""Two runs compared sample by sample: what differs, and by how much for certain."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localkit.evals.report.figures import decimals, signed
from localkit.evals.running.scoring import groups_of, scored_of
from localkit.evals.runs.database import Runs
from localkit.evals.runs.listing import names_of, results_of
from localkit.evals.runs.matching import check, chosen, pairs_of
from localkit.evals.statistics.paired import (
    PairedScores,
    ScoreSummary,
    compare_scored,
    summarize_scored,
)
from localkit.render.table import html_table, plain_table
from localkit.render.text import clean, escape, one_line

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from localkit.evals.runs.listing import Part, Run
    from localkit.evals.runs.record import SampleNames
    from localkit.evals.statistics.scored import Scored

_SHOWN = 20
"""Flips that are printed; all of them are in `RunsDiff.flips`."""
_CLIP = 60


@dataclass(frozen=True, slots=True)
class Flip:
    """A sample that the two scored differently."""

    task: str
    sample: str
    before: float
    after: float
    answer_before: str
    answer_after: str
    why_before: str = ""
    why_after: str = ""


@dataclass(frozen=True, slots=True)
class TaskDiff:
    """Two models' parts in one task."""

    task: str
    metric: str
    before: ScoreSummary
    after: ScoreSummary
    paired: PairedScores
    """After minus before."""
    model_before: str
    model_after: str
    flips: tuple[Flip, ...]
    remarks: tuple[str, ...]
    """What else differs: the weights under a tag, samples that were left out."""


@dataclass(frozen=True, slots=True)
class RunsDiff:
    """What the second of two runs got more or less than the first."""

    before: Run
    after: Run
    tasks: tuple[TaskDiff, ...]

    @property
    def flips(self) -> list[Flip]:
        """Every sample whose score differs, the greatest loss of a task first."""
        return [flip for task in self.tasks for flip in task.flips]

    def to_frame(self) -> pd.DataFrame:
        """Return one row a flip, with both answers."""
        import pandas as pd

        columns = list(Flip.__dataclass_fields__)
        rows = [[getattr(flip, name) for name in columns] for flip in self.flips]
        return pd.DataFrame(rows, columns=columns)

    def rows(self) -> list[tuple[str, ...]]:
        """Return the cells of the table, by `HEADERS`."""
        return [
            (
                one.task,
                one.model_before,
                one.model_after,
                one.metric,
                _score(one.before.estimate.value),
                _score(one.after.estimate.value),
                _difference(one.paired),
                f"{one.paired.n_lost} / {one.paired.n_gained}",
                _p_value(one.paired.p_value),
                str(one.paired.n_items),
            )
            for one in self.tasks
        ]

    def flip_rows(self) -> list[tuple[str, ...]]:
        """Return the cells of the table of flips, by `FLIP_HEADERS`."""
        return [
            (
                one.task,
                one.sample,
                f"{_score(one.before)} → {_score(one.after)}",
                _clipped(one.answer_before),
                _clipped(one.answer_after),
            )
            for one in self.flips[:_SHOWN]
        ]

    def lines(self) -> list[str]:
        """Return the findings in words, and what must be known beside them."""
        words = [_finding(one) for one in self.tasks]
        for one in self.tasks:
            words += one.remarks
        if len(self.flips) > _SHOWN:
            words.append(
                f"{_SHOWN} of {len(self.flips)} flips are shown; to_frame() has all."
            )
        return list(dict.fromkeys(words))

    def __str__(self) -> str:
        """Return the tables and the findings."""
        parts = [plain_table(HEADERS, self.rows(), align=ALIGN)]
        if self.flips:
            parts.append(plain_table(FLIP_HEADERS, self.flip_rows(), align=FLIP_ALIGN))
        return clean("\n\n".join([*parts, "\n".join(self.lines())]))

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        """Show the tables in a notebook; the arguments are part of the protocol."""
        del include, exclude
        html = html_table(HEADERS, self.rows(), align=ALIGN)
        if self.flips:
            html += html_table(FLIP_HEADERS, self.flip_rows(), align=FLIP_ALIGN)
        for line in self.lines():
            html += _paragraph(line)
        return {"text/plain": str(self), "text/html": str(html)}, {}


HEADERS = (
    *("task", "before", "after", "score", "before", "after"),
    *("difference (95 % interval)", "lost / gained", "p", "n"),
)
ALIGN = "<<<<>><>>>"
FLIP_HEADERS = ("task", "sample", "score", "answer before", "answer after")
FLIP_ALIGN = "<<<<<"


def diff_runs(path: Path, before: str, after: str, *, shared: bool = False) -> RunsDiff:
    """Compare two runs of the results database, task by task, sample by sample.

    Args:
        path: The database.
        before: Start of a run's id; ``ID/MODEL`` takes one of its models.
        after: The same; it may be the same run with another model.
        shared: Compare only the samples that both asked for, where they differ.

    Raises:
        UsageError: there is no such run or model.
        NotComparable: the runs have no task in common, or did not ask the same.
        ResultsInvalid: an answer is damaged.
    """
    with closing(Runs(path)) as runs:
        first, left = chosen(runs, before)
        second, right = chosen(runs, after)
        pairs = pairs_of(left, right)
        tasks = tuple(_compare(runs, a, b, shared=shared) for a, b in pairs)
    return RunsDiff(first, second, tasks)


def _compare(runs: Runs, a: Part, b: Part, *, shared: bool) -> TaskDiff:
    names_a, names_b = names_of(runs, a), names_of(runs, b)
    check(a, b, names_a, names_b, shared=shared)
    kept = set(names_a.ids) & set(names_b.ids)
    scores_a = _scores(runs, a, names_a, kept)
    scores_b = _scores(runs, b, names_b, kept)
    paired = compare_scored(scores_b, scores_a)
    by_id_a = {one.id: one for one in scores_a}
    by_id_b = {one.id: one for one in scores_b}
    flips = [_flip(a.task.name, by_id_a[id_], by_id_b[id_]) for id_ in paired.flips]
    return TaskDiff(
        task=a.task.name,
        metric=a.task.metric,
        before=summarize_scored(scores_a),
        after=summarize_scored(scores_b),
        paired=paired,
        model_before=a.label,
        model_after=b.label,
        flips=tuple(flips),
        remarks=_remarks(a, b, len(names_a.ids), len(names_b.ids), len(kept), paired),
    )


def _scores(runs: Runs, part: Part, names: SampleNames, kept: set[str]) -> list[Scored]:
    results = results_of(runs, part, names)
    found = scored_of(part.task, results, groups=groups_of(names))
    return [one for one in found if one.id in kept]


def _flip(task: str, a: Scored, b: Scored) -> Flip:
    return Flip(task, a.id, a.value, b.value, a.answer, b.answer, a.why, b.why)


def _remarks(
    a: Part, b: Part, n_a: int, n_b: int, n_kept: int, paired: PairedScores
) -> tuple[str, ...]:
    remarks = []
    if a.model == b.model and a.weights_digest != b.weights_digest:
        remarks.append(
            f"{a.model} is not the same model in both runs: its weights were "
            f"{_short(a.weights_digest)} and are {_short(b.weights_digest)}."
        )
    if a.cell == b.cell:
        remarks.append(f"{a.task.name}: both runs hold the same answers.")
    if max(n_a, n_b) > n_kept:
        remarks.append(
            f"{a.task.name}: {n_kept} samples that both asked are compared, of {n_a} "
            f"and {n_b}."
        )
    if paired.n_unscored:
        remarks.append(
            f"{a.task.name}: {paired.n_unscored} samples are unscored on a side and "
            "left out of both."
        )
    return tuple(remarks)


def _finding(one: TaskDiff) -> str:
    paired, difference = one.paired, one.paired.difference
    if math.isnan(difference.value):
        return f"{one.task}: nothing was scored on both sides."
    how = f"{paired.test}, p = {_p_value(paired.p_value)}, n = {paired.n_items}"
    if difference.low > 0 or difference.high < 0:
        better = one.model_after if difference.value > 0 else one.model_before
        side = "after" if difference.value > 0 else "before"
        return f"{one.task}: {better} ({side}) is better ({how})."
    more = (
        f" A difference of this size would take about {paired.n_needed} samples."
        if paired.n_needed
        else ""
    )
    return f"{one.task}: no difference you could detect ({how}).{more}"


def _short(digest: str) -> str:
    return f"{digest[:19]}…" if digest else "unknown"


def _score(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _difference(paired: PairedScores) -> str:
    one = paired.difference
    if math.isnan(one.value):
        return "–"
    places = min(4, max(2, decimals((one.high - one.low) / 2, 2)))
    if math.isnan(one.low):
        return f"{signed(one.value, places)} (no interval)"
    low, high = signed(one.low, places), signed(one.high, places)
    return f"{signed(one.value, places)} ({low} to {high})"


def _p_value(p: float) -> str:
    if math.isnan(p):
        return "–"
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _clipped(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _CLIP else f"{line[: _CLIP - 1]}…"


def _paragraph(line: str) -> Any:
    from markupsafe import Markup

    return Markup('<p style="margin:2px 0">{}</p>').format(escape(line))
