"""The command that runs a notebook again and says what came out the same: replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.notebooks import the_notebook
from localkit.cli.screen import Screen, Table
from localkit.errors import EvalError

if TYPE_CHECKING:
    from localkit.regression.replaying import Replayed

_WIDEST = 48


@command("replay")
@click.argument("notebook", required=False, metavar="[NOTEBOOK]")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=600,
    show_default=True,
    metavar="S",
    help="Longest that a cell may run, in seconds.",
)
@click.option("--kernel", metavar="NAME", help="Kernel to run in.")
def replay(
    screen: Screen, notebook: str | None, timeout: float, kernel: str | None
) -> list[Replayed]:
    """Run NOTEBOOK again in a fresh kernel, and say which answers are the same.

    Without NOTEBOOK the one that this runs in, as it was saved last. Nothing is taken
    from a cache and nothing is written. An answer is replayable when its sampling
    leaves one text: temperature 0, or a seed. Fails when the same model, params,
    engine and machine gave another text.
    """
    from localkit.regression.replaying import replay as run_again

    path = the_notebook(notebook)
    with screen.progress() as on_progress:
        found = run_again(
            path, timeout_s=timeout, kernel_name=kernel, on_progress=on_progress
        )
    rows = [(f"In[{one.cell}]", _cut(one.title), one.state, one.words) for one in found]
    empty = "it shows no answer, comparison or evaluation"
    headers = ("cell", "", "again", "what differs first, and why")
    screen.table(Table(headers, rows, "<<<<", empty=empty))
    faults = [one for one in found if one.is_fault]
    if faults:
        first = faults[0]
        msg = f"{len(faults)} of {len(found)} results did not come out again"
        hint = f"In[{first.cell}]: {first.words}"
        raise EvalError(msg, hint=hint)
    return found


def _cut(title: str) -> str:
    return title if len(title) <= _WIDEST else title[: _WIDEST - 1] + "…"
