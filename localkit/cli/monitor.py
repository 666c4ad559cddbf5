"""Commands that show a widget over the store and what is loaded: models, monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model

if TYPE_CHECKING:
    from localkit.cli.screen import Screen
    from localkit.widgets.models.models import Models
    from localkit.widgets.monitor.monitor import Monitor


@command("models")
@click.argument("prefix", default="", shell_complete=complete_model)
def show_models(screen: Screen, prefix: str) -> Models:
    """Show what is in the store and what is loaded, with controls in a notebook.

    Each model with its quant, what it takes on the disk and in memory at several
    context lengths (an estimate), its licence, and whether it is pinned. PREFIX
    narrows it to names that begin so. In a notebook: pull, quantize, load, unload,
    pin and remove from there.
    """
    from localkit.widgets.models.models import models

    widget = models(prefix=prefix)
    screen.panel(widget.panel)
    return widget


@command("monitor")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.5),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look, in a notebook.",
)
def show_monitor(screen: Screen, every_s: float) -> Monitor:
    """Show what the loaded models do: slots, queue, tok/s, memory, recent requests.

    In a notebook it goes on looking while it is on the page; elsewhere it says how
    things stand in this process now.
    """
    from localkit.widgets.monitor.monitor import monitor

    widget = monitor(every_s=every_s)
    screen.panel(widget.panel)
    return widget
