"""The command that asks models the samples of tasks: eval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model, complete_task
from localkit.cli.screen import Screen, Table
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.evals.runs.evaluation import Evaluation


@command("eval")
@click.argument(
    "models", nargs=-1, required=True, metavar="MODEL…", shell_complete=complete_model
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    shell_complete=complete_task,
    required=True,
    metavar="NAME|FILE",
    help="What to ask: a packaged task, a task file, or a table with prompts and "
    "expected answers (CSV, JSON Lines). May be given again.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Most samples of each task.")
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="How often to ask each sample. [default: as the task says]",
)
@click.option(
    "--n-ctx",
    type=click.IntRange(min=32),
    help="Context length to answer in. [default: 2048, at most the training context]",
)
@click.option(
    "--allow-code",
    is_flag=True,
    help="Run code that a model writes against the tests of the task.",
)
def evaluate(
    screen: Screen,
    models: tuple[str, ...],
    tasks: tuple[str, ...],
    limit: int | None,
    epochs: int | None,
    n_ctx: int | None,
    allow_code: bool,
) -> Evaluation:
    """Ask MODELs the samples of a task and say what they score.

    A MODEL is a model ref, or MODEL@URL of a server that speaks OpenAI's or Ollama's
    dialect. What was answered before is not asked again; an interrupted run goes on
    where it stopped. `runs` lists what was run, `runs diff` compares two of them.
    """
    from localkit.evals.running.evaluate import evaluate as ask

    with screen.progress() as on_progress:
        evaluation = ask(
            list(models),
            list(tasks),
            limit=limit,
            epochs=epochs,
            n_ctx=n_ctx,
            allow_code=allow_code,
            kit=default_kit(),
            on_progress=on_progress,
        )
    show(screen, evaluation)
    return evaluation


def show(screen: Screen, evaluation: Evaluation) -> None:
    """Show the table of a run, and what must be known beside it."""
    from localkit.evals.runs.evaluation import ALIGN, HEADERS

    metadata = {"evaluation": evaluation.as_dict()} if screen.can_assign else {}
    rows = evaluation.rows()
    screen.table(Table(HEADERS, rows, ALIGN, "nothing was asked", metadata))
    for line in evaluation.lines():
        screen.say(line)
