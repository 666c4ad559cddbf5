"""The commands over stored results: runs, and what can be done with one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from localkit.cli.evaluate import show as show_evaluation
from localkit.cli.group import command, group
from localkit.cli.screen import Screen, Table
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.evals.runs.diff import RunsDiff
    from localkit.evals.runs.evaluation import Evaluation
    from localkit.evals.runs.listing import Run
    from localkit.evals.runs.removing import RemovedRun

_HEADERS = ("run", "when", "kind", "status", "models", "tasks", "score")
_ALIGN = "<<<<<<<"
_EMPTY = "no runs yet: `eval MODEL --task TASK` makes one"
_NAMED = 2
"""Models or tasks of a run that the list has room for."""


@group("runs")
def runs(screen: Screen) -> list[Run]:
    """List what was evaluated, the latest first."""
    from localkit.evals.runs.evaluation import value
    from localkit.evals.runs.listing import read_runs

    found = read_runs(_database())
    rows = []
    for run in found:
        scores = [
            value(part.summary.value, part.summary.high - part.summary.low)
            for part in run.parts
            if part.summary is not None
        ]
        when = datetime.fromisoformat(run.updated).astimezone()
        rows.append(
            (
                run.id,
                f"{when:%Y-%m-%d %H:%M}",
                run.kind,
                run.status,
                _some(run.models),
                _some(run.tasks),
                _some(scores),
            )
        )
    screen.table(Table(_HEADERS, rows, _ALIGN, empty=_EMPTY))
    return found


@command("show", of=runs)
@click.argument("run")
def show(screen: Screen, run: str) -> Evaluation:
    """Show the scores of RUN.

    Below them stand the models, what they were run with, and the command.
    """
    from localkit.evals.runs.evaluation import read_evaluation

    evaluation = read_evaluation(_database(), run)
    show_evaluation(screen, evaluation)
    for model, ref, digest in evaluation.models():
        named = f" ({ref})" if ref != model else ""
        screen.say(f"{model}{named}: {digest or 'weights unknown'}")
    for line in evaluation.settings():
        screen.say(f"Answered with {line}")
    screen.say(f"Made by localkit {evaluation.run.version}: {evaluation.run.command}")
    return evaluation


@command("diff", of=runs)
@click.argument("before")
@click.argument("after")
@click.option(
    "--shared",
    is_flag=True,
    help="Compare the samples that both asked, where one asked more.",
)
def diff(screen: Screen, before: str, after: str, shared: bool) -> RunsDiff:
    """Compare two runs, sample by sample.

    The difference is what AFTER got more or less than BEFORE, with its interval.
    RUN/MODEL takes one model of a run, so that two models of one run can be compared.
    Runs that did not ask the same questions are refused.
    """
    from localkit.evals.runs import diff as comparing

    found = comparing.diff_runs(_database(), before, after, shared=shared)
    screen.table(Table(comparing.HEADERS, found.rows(), comparing.ALIGN, empty=""))
    if found.flips:
        headers, align = comparing.FLIP_HEADERS, comparing.FLIP_ALIGN
        screen.table(Table(headers, found.flip_rows(), align, empty=""))
    for line in found.lines():
        screen.say(line)
    return found


@command("export", of=runs)
@click.argument("run")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(screen: Screen, run: str, file: Path) -> Path:
    """Write the answers of RUN to a file.

    FILE ends in .jsonl, .csv or .parquet. CSV is safe to open in a spreadsheet.
    """
    from localkit.evals.runs.export import export_run

    count = export_run(_database(), run, file)
    screen.say(f"written: {file} ({count} answers)")
    return file


@command("import", of=runs)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE…",
    type=click.Path(dir_okay=False, path_type=Path),
)
@click.option(
    "--metric",
    help="Metric or scorer that is the score: acc_norm. [default: the first]",
)
@click.option("--model", help="What to call the model. [default: as the files say]")
def import_(
    screen: Screen, files: tuple[Path, ...], metric: str | None, model: str | None
) -> Evaluation:
    """Make a run of what another tool wrote.

    FILE is a samples_….jsonl of lm-evaluation-harness (--log_samples), or a .eval log
    of inspect_ai. Several files become one run.
    """
    from localkit.evals.runs.importing import import_runs

    evaluation = import_runs(_database(), files, metric=metric, model=model)
    show_evaluation(screen, evaluation)
    return evaluation


@command("rm", of=runs)
@click.argument("names", nargs=-1, required=True, metavar="RUN…")
def remove(screen: Screen, names: tuple[str, ...]) -> list[RemovedRun]:
    """Remove runs, and the answers that no other run holds."""
    from localkit.evals.runs.removing import remove_run

    removed = []
    for name in names:
        one = remove_run(_database(), name)
        removed.append(one)
        screen.say(f"removed {one.id}: {one.n_answers} answers")
    return removed


def _database() -> Path:
    return default_kit().settings.runs_db


def _some(names: tuple[str, ...] | list[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" +{len(names) - _NAMED}" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
