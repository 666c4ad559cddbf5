"""The command that says which quant to run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model, complete_quant, model_argument
from localkit.config import Effort
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.cli.screen import Screen
    from localkit.evals.comparing.comparison import Comparison


@command("compare")
@model_argument()
@click.option(
    "--quants",
    metavar="A,B,…",
    shell_complete=complete_quant,
    help="Quants to compare. [default: every stored tag of MODEL]",
)
@click.option(
    "--reference",
    metavar="MODEL",
    shell_complete=complete_model,
    help="What loss is measured against. [default: the most precise one]",
)
@click.option(
    "--task",
    default="hellaswag",
    show_default=True,
    help="Questions to ask: a task's name or file; none asks none.",
)
@click.option(
    "--text",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="UTF-8 text to measure on instead of the packaged one: use your own.",
)
@click.option(
    "--effort",
    type=click.Choice(get_args(Effort)),
    help="How much to measure. [default: LOCALKIT_EFFORT, else standard]",
)
@click.option(
    "--budget", metavar="SIZE", help="Memory to fit in: 8GB. [default: what is free]"
)
@click.option(
    "--max-kld",
    type=click.FloatRange(min=0, min_open=True),
    default=0.05,
    show_default=True,
    help="Loss to accept: upper end of mean KL divergence, nats per token.",
)
@click.option("--n-ctx", type=click.IntRange(min=32), help="Context length to plan.")
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the report (HTML, plots, JSON) to this folder.",
)
def compare(
    screen: Screen,
    model: str,
    quants: str | None,
    reference: str | None,
    task: str,
    text: Path | None,
    effort: Effort | None,
    budget: str | None,
    max_kld: float,
    n_ctx: int | None,
    folder: Path | None,
) -> Comparison:
    """Measure the quants of MODEL and say which to run, and why.

    What was measured before is not measured again; an interrupted comparison
    goes on where it stopped.
    """
    from localkit.evals.comparing.compare import compare as measure

    names = quants.replace(",", " ").split() if quants is not None else None
    with screen.progress() as on_progress:
        comparison = measure(
            model,
            names,
            reference=reference,
            task=None if task == "none" else task,
            text=text,
            effort=effort,
            budget=budget,
            max_kld=max_kld,
            n_ctx=n_ctx,
            kit=default_kit(),
            on_progress=on_progress,
        )
    screen.comparison(comparison)
    if folder is not None:
        report = comparison.save(folder)
        screen.say(f"report: {report.html}")
    return comparison
