"""The command that collects an importance matrix."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import model_argument
from localkit.evals.tasks.catalog import Text, load_text
from localkit.gguf.imatrix import read_imatrix
from localkit.io.disk import explained_write_errors
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.cli.screen import Screen

CALIBRATION = "calibration"
"""The packaged text that is read when nobody names one."""
_FILE = click.Path(dir_okay=False, path_type=Path)


@command("imatrix")
@model_argument()
@click.option(
    "--text",
    metavar="FILE",
    help="UTF-8 text to run MODEL over; default: the one that comes with localkit.",
)
@click.option(
    "--chunks",
    type=click.IntRange(min=1),
    metavar="N",
    help="Read at most N chunks of 512 tokens; default: the whole text.",
)
@click.option(
    "--save", type=_FILE, metavar="FILE", help="Write a copy of the matrix to FILE."
)
def imatrix(
    screen: Screen, model: str, text: str | None, chunks: int | None, save: Path | None
) -> Path:
    """Collect the importance of MODEL's weights from a text.

    What `quantize --imatrix` takes: the columns that a text makes work most keep
    most of their precision. MODEL should be of full precision, and the text of the
    kind that it will meet. The file is llama.cpp's; llama-quantize reads it too.
    """
    chosen = load_text(text or CALIBRATION)
    with screen.progress() as on_progress:
        path = default_kit().imatrix(
            model,
            chosen.text,
            dataset=chosen.name,
            n_chunks=chunks,
            on_progress=on_progress,
        )
    made = read_imatrix(path)
    if save is not None:
        with explained_write_errors(path.stat().st_size, save.parent):
            shutil.copyfile(path, save)
        path = save
    screen.say(
        f"importance of {len(made.entries)} weights from {made.n_chunks} chunks of "
        f"{made.chunk_size} tokens of {chosen.name}: {path}"
    )
    return path


def calibration_text() -> Text:
    """Return the text that ``--imatrix auto`` reads."""
    return load_text(CALIBRATION)
