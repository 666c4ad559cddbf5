"""The command that shows what the engine said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localkit.cli.group import command

if TYPE_CHECKING:
    from localkit.cli.screen import Screen


@command("log")
@click.option(
    "-n",
    "--lines",
    "n_lines",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    help="Most lines, counted from the end.",
)
def log(screen: Screen, n_lines: int) -> str:
    """Show what llama.cpp logged last in this process.

    It never prints by itself. In a terminal each command is a process of its own, so
    this is for notebooks: `%llm log`.
    """
    from localkit.runtime import logs

    text = "\n".join(logs.recent().splitlines()[-n_lines:])
    screen.say(text or "the engine has logged nothing in this process")
    return text
