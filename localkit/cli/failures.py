"""How a command ends when it does not end well: one line and an exit code.

In the terminal click prints these itself (``show``) and exits; in a notebook the
magics take ``error`` out and raise that.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, ClassVar

import click

if TYPE_CHECKING:
    from localkit.errors import LocalkitError

INTERRUPTED = 130
"""128 + SIGINT: what a shell expects of a program that Ctrl-C ended."""


class CommandFailed(click.ClickException):
    """A command met an error that localkit reports."""

    exit_code: ClassVar[int] = 1

    def __init__(self, error: LocalkitError) -> None:
        """Keep the error; its one line is the message."""
        self.error = error
        super().__init__(error.one_line())


class CommandInterrupted(click.ClickException):
    """Someone pressed Ctrl-C."""

    exit_code: ClassVar[int] = INTERRUPTED

    def __init__(self) -> None:
        """Take no message: whoever pressed the keys knows."""
        super().__init__("interrupted")

    def show(self, file: IO[Any] | None = None) -> None:
        """Print one line on a line of its own, past the echoed ``^C``."""
        click.echo("\ninterrupted", file=file, err=file is None)
