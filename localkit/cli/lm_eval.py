"""The command that runs tasks of lm-evaluation-harness."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import model_argument
from localkit.cli.screen import Table
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.cli.screen import Screen
    from localkit.evals.harnesses.lm_eval.results import Figure, LmEvalRun

_BETTER = {True: " ↑", False: " ↓", None: ""}


@command("lm-eval")
@model_argument()
@click.option("--tasks", metavar="A,B,…", help="Tasks, groups or task files (YAML).")
@click.option("--limit", metavar="N", help="Ask the first N items of each task.")
@click.option(
    "--num-fewshot",
    "--num_fewshot",
    metavar="N",
    help="Examples before each question. [default: the task's]",
)
@click.option(
    "--include-path", "--include_path", metavar="DIR", help="Folder of your own tasks."
)
@click.option(
    "--chat",
    is_flag=True,
    help="Ask through the model's chat template (lm-eval: --apply_chat_template).",
)
@click.option(
    "--output",
    "--output_path",
    metavar="DIR",
    help="Write results and samples there, in lm-eval's own format.",
)
@click.option("--n-ctx", type=click.IntRange(min=32), help="Context length in tokens.")
@click.option(
    "--kv-type", default="f16", show_default=True, help="Type of the KV cache."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENT]…")
def lm_eval(
    screen: Screen,
    model: str,
    tasks: str | None,
    limit: str | None,
    num_fewshot: str | None,
    include_path: str | None,
    chat: bool,
    output: str | None,
    n_ctx: int | None,
    kv_type: str,
    arguments: tuple[str, ...],
) -> LmEvalRun:
    """Run tasks of lm-evaluation-harness on MODEL, in our engine.

    Each ARGUMENT that is not one of the options below is lm-eval's own
    (`lm-eval run --help`). Data sets that are not here come from the Hugging
    Face Hub. Needs: pip install 'localkit[lm-eval]'.
    """
    from localkit.evals.harnesses.extras import require

    require("lm_eval", "lm-eval")
    from localkit.evals.harnesses.lm_eval.evaluate import evaluate

    given = {
        "--tasks": tasks,
        "--limit": limit,
        "--num_fewshot": num_fewshot,
        "--include_path": include_path,
        "--output_path": output,
    }
    words = [word for pair in given.items() if pair[1] is not None for word in pair]
    if chat:
        words.append("--apply_chat_template")
    with screen.progress() as on_progress:
        run = evaluate(
            model,
            [*map(str, words), *arguments],
            n_ctx=n_ctx,
            kv_type=kv_type,
            kit=default_kit(),
            on_progress=on_progress,
        )
    screen.table(table(run))
    for note in run.notes:
        screen.say(f"note: {note}")
    for file in run.files:
        screen.say(f"wrote {file}")
    return run


# What it does not know is lm-eval's.
lm_eval.ignore_unknown_options = True


def table(run: LmEvalRun) -> Table:
    """Return the figures with their intervals."""
    return Table(
        headers=("Task", "Filter", "n-shot", "Metric", "Value", "95 % interval", "n"),
        rows=[_row(one) for one in run.figures],
        align="<<><>>>",
        empty="no figures: the tasks scored nothing",
    )


def _row(one: Figure) -> tuple[str, ...]:
    found = one.estimate
    interval = "–"
    if not math.isnan(found.low):
        interval = f"{found.low:.4f} to {found.high:.4f}"
    return (
        one.task,
        one.filter,
        "" if one.n_shot is None else str(one.n_shot),
        one.metric + _BETTER[one.higher_is_better],
        f"{found.value:.4f}",
        interval,
        str(found.n) if found.n else "–",
    )
