"""The one Click group: `localkit X` in a terminal, `%llm X` in a notebook.

A command is a function of a `Screen` and its arguments that returns a value.
`command` adds it to the group, turns what localkit raises into a one-line end, and
gives it ``-o NAME``, which puts the value into the notebook's namespace.
"""

from __future__ import annotations

import copy
import functools
import keyword
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from localkit.cli.failures import CommandFailed, CommandInterrupted
from localkit.cli.names import complete_names
from localkit.cli.ollama import ollamas_store
from localkit.cli.sections import SectionedGroup
from localkit.cli.terminal import TerminalScreen
from localkit.errors import LocalkitError

if TYPE_CHECKING:
    from localkit.cli.screen import Screen

F = TypeVar("F", bound=Callable[..., object])
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 88}


@click.group(cls=SectionedGroup, context_settings=_HELP)
@click.version_option(package_name="localkit", message="%(prog)s %(version)s")
@click.option(
    "--ollama", is_flag=True, help="Work with Ollama's own models, where they lie."
)
@click.pass_context
def main(context: click.Context, ollama: bool) -> None:
    """Keep, run and measure local language models.

    The same commands work in a terminal (`localkit list`) and in a notebook
    (`%load_ext localkit`, then `%llm list`).
    """
    if context.obj is None:
        context.obj = TerminalScreen()
    if ollama:
        try:
            context.with_resource(ollamas_store())
        except LocalkitError as error:
            raise CommandFailed(error) from error


def command(
    name: str, *aliases: str, of: click.Group = main
) -> Callable[[Callable[..., object]], click.Command]:
    """Add a function to the group as ``name``, and unlisted under its aliases.

    The function gets the screen first, then its click parameters by name. ``of`` is
    another group, made by `group`.
    """

    def register(function: Callable[..., object]) -> click.Command:
        made = of.command(name)(_assignable(_ending_well(function)))
        for alias in aliases:
            twin = copy.copy(made)
            twin.hidden = True
            of.add_command(twin, alias)
        return made

    return register


def group(name: str) -> Callable[[Callable[..., object]], click.Group]:
    """Add a function that has commands of its own; it runs where none is named."""

    def register(function: Callable[..., object]) -> click.Group:
        made = _assignable(_ending_well(function))
        return main.group(name, cls=click.Group, invoke_without_command=True)(made)

    return register


def _ending_well(function: F) -> F:
    """Turn localkit's errors and Ctrl-C into ends that click knows."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> object:
        try:
            return function(*args, **kwargs)
        except LocalkitError as error:
            raise CommandFailed(error) from error
        except KeyboardInterrupt as stop:
            raise CommandInterrupted from stop

    return run  # type: ignore[return-value] # wraps keeps the signature


def _assignable(function: Callable[..., object]) -> Callable[..., object]:
    """Add ``-o NAME``."""

    @click.option(
        "-o",
        "assign_to",
        metavar="NAME",
        callback=_check_name,
        shell_complete=complete_names(),
        help="Assign the value to NAME (notebook).",
    )
    @click.pass_context
    @functools.wraps(function)
    def run(context: click.Context, /, assign_to: str | None, **kwargs: Any) -> object:
        if context.invoked_subcommand is not None:
            return None
        screen: Screen = context.obj
        value = function(screen, **kwargs)
        if assign_to is not None:
            screen.assign(assign_to, value)
        return value

    return run


def _check_name(
    context: click.Context, _parameter: click.Parameter, name: str | None
) -> str | None:
    """Refuse a name before the work that would fill it."""
    if name is None:
        return None
    if not context.obj.can_assign:
        msg = "there is no namespace to assign to in a terminal"
        raise click.BadParameter(msg)
    return python_name(name)


def assign_option(text: str) -> Callable[[F], F]:
    """Return ``-o NAME`` for a cell magic, which always has a namespace.

    Args:
        text: Its help.
    """
    return click.option(
        "-o",
        "assign_to",
        metavar="NAME",
        callback=lambda _context, _option, name: (
            None if name is None else python_name(name)
        ),
        shell_complete=complete_names(),
        help=text,
    )


def python_name(name: str) -> str:
    """Return ``name`` if it can be assigned to.

    Raises:
        click.BadParameter: it is not an identifier, or a keyword.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        msg = f"{name!r} is not a Python name"
        raise click.BadParameter(msg)
    return name
