"""``%%modelfile NAME``: a cell as a Modelfile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from IPython.core.magic import no_var_expand

from localkit.cli.create import Weights, make, weights_options
from localkit.cli.group import assign_option
from localkit.magics.arguments import split
from localkit.magics.failures import one_line_errors
from localkit.magics.screen import NotebookScreen
from localkit.store.modelfile.modelfile import parse

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class ModelfileMagic:
    """The magic of one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        """Evaluate ``{{expr}}`` of the line in this shell's namespace."""
        self._shell = shell

    @no_var_expand
    def modelfile(self, line: str, cell: str) -> None:
        r"""Make a model of the Modelfile in the cell: `localkit create NAME`.

            %%modelfile pirate
            FROM smollm2-135m-instruct
            SYSTEM Talk like a pirate.
            PARAMETER temperature 0.4

        Paths begin in the notebook's folder. The cell is taken as it is: the braces
        of a Go template need no care. In the line `{{expr}}` is filled in.

            -o NAME                    assign the receipt
            -q, --quantize QUANT       make weights of another file type
            --imatrix, --tensor-type, --requantize
        """
        with one_line_errors():
            call = _command.main(
                split(line, self._shell.ev), "%%modelfile", standalone_mode=False
            )
            if not isinstance(call, tuple):  # --help, now shown
                return
            name, assign_to, weights = call
            screen = NotebookScreen(self._shell)
            receipt = make(screen, name, parse(cell), weights, folder=Path())
            if assign_to is not None:
                screen.assign(assign_to, receipt)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@assign_option("Assign the receipt to NAME.")
@weights_options
def _command(
    name: str, assign_to: str | None, weights: Weights
) -> tuple[str, str | None, Weights]:
    """Make a model called NAME of the Modelfile in the cell."""
    return name, assign_to, weights
