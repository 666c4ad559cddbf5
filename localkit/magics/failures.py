"""Errors as a notebook shows them: one line, and the cell still fails.

IPython asks an exception for ``_render_traceback_`` before it formats a
traceback. The exception keeps its type and message, so `try`, nbclient and
nbval see what it is; only the wall of frames is gone. Anything that localkit
did not raise on purpose keeps its traceback.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from localkit.cli.failures import CommandFailed, CommandInterrupted
from localkit.errors import LocalkitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

E = TypeVar("E", bound=BaseException)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Let what the body raises on purpose show as one line."""
    try:
        yield
    except CommandFailed as failure:
        raise _brief(failure.error, failure.error.one_line()) from None
    except (
        CommandInterrupted,
        click.Abort,
    ):  # Abort: Ctrl-C while click reads the line
        raise interrupted("stopped") from None
    except KeyboardInterrupt as stop:
        raise _brief(stop, str(stop) or "stopped") from None
    except click.UsageError as error:
        ours = _wrong_call(error)
        raise _brief(ours, ours.one_line()) from None
    except LocalkitError as error:
        raise _brief(error, error.one_line()) from None


def interrupted(what_is_kept: str) -> KeyboardInterrupt:
    """Return the exception that ends a cell someone stopped.

    A cell that returned normally would let "Run all" go on to the next one.
    """
    return _brief(KeyboardInterrupt(what_is_kept), what_is_kept)


def _wrong_call(error: click.UsageError) -> UsageError:
    """Return click's complaint as ours, with the help to ask for."""
    path = error.ctx.command_path if error.ctx is not None else "%llm"
    message = error.format_message().rstrip(".")
    return UsageError(message, hint=f"`{path} --help` shows what it takes")


def _brief(error: E, line: str) -> E:
    """Give ``error`` the traceback that IPython will show: one line."""
    name = type(error).__name__
    error._render_traceback_ = lambda: [f"{name}: {line}"]  # type: ignore[attr-defined]
    return error
