"""The command that opens a playground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model
from localkit.cli.screen import Table
from localkit.errors import UsageError
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.cli.screen import Screen
    from localkit.widgets.playground.playground import Playground


@command("playground")
@click.argument("models", nargs=-1, metavar="[MODEL…]", shell_complete=complete_model)
@click.option(
    "--name",
    default="playground",
    show_default=True,
    help="Under which ratings, votes and versions are kept.",
)
@click.option("--preset", metavar="NAME", help="Begin with what was saved as NAME.")
@click.option(
    "--blind", is_flag=True, help="Keep the models' names back until there is a vote."
)
def playground(
    screen: Screen,
    models: tuple[str, ...],
    name: str,
    preset: str | None,
    blind: bool,
) -> Playground | None:
    """Try a prompt in several models side by side (notebook).

    Answers are rated and voted on there; every run is kept as a version. In a
    terminal the versions of the playground are listed.
    """
    if not screen.can_assign:
        _list_versions(screen, name)
        return None
    from localkit.widgets.playground.playground import playground as make

    if preset is not None and models:
        msg = f"preset '{preset}' brings its models along"
        raise UsageError(msg, hint="leave out the models, or --preset")
    made = make(*models, name=name, blind=blind)
    if preset is not None:
        made.load_preset(preset)
    screen.panel(made.panel)
    return made


def _list_versions(screen: Screen, name: str) -> None:
    from localkit.widgets.playground.shelf import Shelf

    shelf = Shelf(default_kit().history, name)
    rows = [[str(id), made, title] for id, made, title in shelf.listed()]
    empty = f"playground '{name}' has no versions yet"
    screen.table(Table(("version", "made", "prompt"), rows, "><<", empty))
    screen.say("A playground needs a notebook: `%llm playground` opens it there.")
