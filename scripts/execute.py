"""Execute notebooks headless: ``scripts/execute.py [--into FOLDER] NOTEBOOK…``.

Without ``--into`` each one is replaced by its executed self: how the outputs that
are committed come about. It runs in its own folder, as JupyterLab would run it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import nbformat
from nbclient import NotebookClient

from localkit.cli.terminal import TerminalScreen
from localkit.events import Progress

if TYPE_CHECKING:
    from localkit.events import OnProgress

CELL_TIMEOUT_S = 3600


def execute(path: Path, target: Path, *, on_progress: OnProgress) -> None:
    """Write the executed notebook to ``target``.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed that should not.
    """
    notebook = nbformat.read(path, as_version=4)
    total = sum(cell.cell_type == "code" for cell in notebook.cells)
    done = 0

    def on_cell_executed(**_: object) -> None:
        nonlocal done
        done += 1
        on_progress(Progress(f"executing {path.name}", done, total, "cells"))

    NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        # ipykernel warns of its own loopback sockets.
        extra_arguments=["--Application.log_level=ERROR"],
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_executed=on_cell_executed,
    ).execute()
    nbformat.write(notebook, target)


@click.command()
@click.argument(
    "notebooks",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--into", type=click.Path(file_okay=False, path_type=Path))
def main(notebooks: tuple[Path, ...], into: Path | None) -> None:
    """Execute NOTEBOOKS."""
    with TerminalScreen(log=True).progress() as on_progress:
        for path in notebooks:
            target = path if into is None else into / path.name
            execute(path, target, on_progress=on_progress)


if __name__ == "__main__":
    main()
