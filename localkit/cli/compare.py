"""The commands that say which quant to run."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from localkit.cli.group import command
from localkit.cli.parameters import (
    complete_model,
    complete_quant,
    complete_task,
    complete_text,
    model_argument,
)
from localkit.config import Effort
from localkit.errors import UsageError
from localkit.kit import default_kit
from localkit.render.audience import present_audience
from localkit.render.slot import at_cell_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.cli.screen import Screen
    from localkit.evals.comparing.comparison import Comparison
    from localkit.evals.comparing.standing import Standing
    from localkit.events import Progress

_FLASH = {"on": True, "off": False, "auto": None}


def _numbers(
    _context: click.Context, parameter: click.Parameter, text: str | None
) -> list[int] | None:
    """Return the whole numbers of ``1024,4096``."""
    if text is None:
        return None
    try:
        return [int(part) for part in _words(text)]
    except ValueError as error:
        msg = f"'{text}' holds something else than whole numbers"
        raise click.BadParameter(msg, param=parameter) from error


def _list(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> list[str] | None:
    return None if text is None else _words(text)


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def limits(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what may be recommended, and how much is measured."""
    options = [
        click.option(
            "--quants",
            metavar="A,B,…",
            callback=_list,
            shell_complete=complete_quant,
            help="Quants to compare. [default: every stored tag of MODEL]",
        ),
        click.option(
            "--budget",
            metavar="SIZE",
            help="Memory to fit in: 8GB. [default: what is free]",
        ),
        click.option(
            "--max-loss",
            type=click.FloatRange(min=0, max=1, min_open=True),
            help="Loss of a task's score to accept: 0.02 is 2 points of 100.",
        ),
        click.option(
            "--max-kld",
            type=click.FloatRange(min=0, min_open=True),
            default=0.05,
            show_default=True,
            help="Loss to accept: upper end of mean KL divergence, nats per token.",
        ),
        click.option(
            "--min-decode",
            "min_decode_per_s",
            type=click.FloatRange(min=0, min_open=True),
            metavar="TOK/S",
            help="Slowest decode to accept, tokens per second.",
        ),
        click.option(
            "--effort",
            type=click.Choice(get_args(Effort)),
            help="How much to measure. [default: LOCALKIT_EFFORT, else standard]",
        ),
        click.option(
            "--precision",
            type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
            help="Ask more samples until this difference in score is settled: 0.02.",
        ),
        click.option(
            "--allow-code",
            is_flag=True,
            help="Run code that models wrote against its tests, in a child.",
        ),
        click.option(
            "--report",
            "folder",
            type=click.Path(file_okay=False, path_type=Path),
            help="Write the report (HTML, Markdown, plots, JSON, card) to this folder.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@command("compare")
@model_argument()
@limits
@click.option(
    "--reference",
    metavar="MODEL",
    shell_complete=complete_model,
    help="What loss is measured against. [default: the most precise one]",
)
@click.option(
    "--against",
    multiple=True,
    metavar="MODEL[@URL]",
    shell_complete=complete_model,
    help="Another model for the tasks, here or behind a URL; may be repeated.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    shell_complete=complete_task,
    metavar="NAME|FILE",
    help="What to ask: a task, or a table with prompts and expected answers; may be "
    "repeated; none asks nothing. [default: hellaswag]",
)
@click.option(
    "--text",
    "texts",
    multiple=True,
    shell_complete=complete_text,
    metavar="NAME|FILE",
    help="UTF-8 text to measure loss on instead of the packaged one; may be repeated.",
)
@click.option(
    "--suite",
    metavar="quick|standard|full",
    help="Packaged texts and tasks together; --task and --text add to them.",
)
@click.option("--n-ctx", callback=_numbers, metavar="N,…", help="Context to plan for.")
@click.option(
    "--kv-type", callback=_list, metavar="f16,q8_0,…", help="Types of the KV cache."
)
@click.option(
    "--flash-attn", callback=_list, metavar="on,off,auto", help="Flash attention."
)
@click.option("--n-gpu-layers", callback=_numbers, metavar="N,…", help="On a GPU.")
@click.option(
    "--depth", callback=_numbers, metavar="N,…", help="Speed with so full a context."
)
@click.option(
    "--clients",
    callback=_numbers,
    metavar="N,…",
    help="Waiting times of so many askers at once.",
)
def compare(
    screen: Screen,
    model: str,
    folder: Path | None,
    tasks: tuple[str, ...],
    texts: tuple[str, ...],
    flash_attn: list[str] | None,
    **options: Any,
) -> Comparison:
    """Measure the quants of MODEL and say which to run, and why.

    What was measured before is not measured again; an interrupted comparison
    goes on where it stopped. Options that take several values are axes: every
    quant is measured at every combination, and loss is against the first.
    """
    from localkit.evals.comparing.compare import DEFAULT_TASK
    from localkit.evals.comparing.compare import compare as measure

    unknown = [word for word in flash_attn or () if word not in _FLASH]
    if unknown:
        msg = f"flash attention cannot be '{unknown[0]}'"
        raise UsageError(msg, hint="write on, off or auto")
    asked = {name: value for name, value in options.items() if value is not None}
    if flash_attn:
        asked["flash_attn"] = [_FLASH[word] for word in flash_attn]
    task = None if "none" in tasks else list(tasks) or DEFAULT_TASK
    run = partial(measure, model, task=task, text=list(texts) or None, **asked)
    return _measured(screen, run, folder)


@command("which")
@model_argument()
@click.argument("prompts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@limits
def which(
    screen: Screen, model: str, prompts: Path, folder: Path | None, **options: Any
) -> Comparison:
    """Say which quant of MODEL to run for your own PROMPTS.

    PROMPTS is a table with prompts and expected answers (.csv, .jsonl), or a text
    file with one prompt a line: then loss is measured on each prompt with the
    reference's answer behind it.
    """
    from localkit.evals.comparing.which import which as choose

    asked = {name: value for name, value in options.items() if value is not None}
    return _measured(screen, partial(choose, model, prompts, **asked), folder)


def _measured(
    screen: Screen, run: Callable[..., Comparison], folder: Path | None
) -> Comparison:
    """Measure under a table that fills where a front end watches, else under a bar."""
    if present_audience() == "front end":
        comparison = _watched(screen, run)
    else:
        with screen.progress() as on_progress:
            comparison = run(kit=default_kit(), on_progress=on_progress)
        screen.comparison(comparison)
    if folder is not None:
        report = comparison.save(folder)
        screen.say(f"report: {report.html}")
    return comparison


def _watched(screen: Screen, run: Callable[..., Comparison]) -> Comparison:
    """Measure under a widget; its report stands below it once, whoever shows it."""
    from localkit.widgets.comparison.view import ComparisonView

    view = ComparisonView()
    # Not before there is something to watch: arguments may be refused first.
    show = cache(lambda: screen.panel(view.panel))

    def on_progress(progress: Progress) -> None:
        show()
        view.measuring.on_progress(progress)

    def on_rows(standing: Standing) -> None:
        view.measuring.on_rows(standing)
        show()

    try:
        comparison = run(kit=default_kit(), on_progress=on_progress, on_rows=on_rows)
    except BaseException:
        view.measuring.stop()
        raise
    is_value = click.get_current_context().params.get("assign_to") is None
    view.finish(comparison, is_below=is_value)
    if is_value:
        screen.comparison(comparison)
        # Where the value goes to a name, nobody has shown it.
        at_cell_end(lambda value: None if value is comparison else view.keep_report())
    return comparison
