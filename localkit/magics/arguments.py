"""The line of a magic: words with ``{{expr}}`` filled in, read by click.

Words are separated by blanks; quotes keep blanks together; a backslash is an
ordinary character, as in Windows paths. An ``{{expr}}`` is one piece whatever its
value holds, so a value can be neither split nor quoted open, and one that begins
with a dash is refused where it would be read as an option.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from localkit.cli.group import assign_option
from localkit.cli.parameters import model_argument
from localkit.cli.request import Request, request_options
from localkit.errors import UsageError
from localkit.magics.interpolate import Evaluate, interpolate

if TYPE_CHECKING:
    from localkit.magics.answer import Format

# A private-use character stands for a value until the words are separated.
_MARK = "\ue000"
_HELD = re.compile(f"{_MARK}([0-9]+){_MARK}")


@dataclass(frozen=True, slots=True)
class Call:
    """What the line of a ``%%llm`` cell asks for."""

    request: Request
    model: str | None
    assign_to: str | None
    raw: bool
    quiet: bool
    stream: bool
    fmt: Format


def split(line: str, evaluate: Evaluate) -> list[str]:
    """Return the words of ``line`` with every ``{{expr}}`` replaced by its value.

    Raises:
        UsageError: a quote is left open, an expression fails, or a value would be
            read as an option.
    """
    if _MARK in line:
        msg = "the line holds U+E000, a character without a meaning"
        raise UsageError(msg, hint="take it out")
    values: list[str] = []

    def hold(source: str) -> str:
        values.append(str(evaluate(source)))
        return f"{_MARK}{len(values) - 1}{_MARK}"

    lexer = shlex.shlex(interpolate(line, hold), posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        words = list(lexer)
    except ValueError:
        msg = "a quote is not closed"
        raise UsageError(
            msg, hint='write "it\'s" for text with an apostrophe'
        ) from None
    return [_filled(word, values) for word in words]


def _filled(word: str, values: list[str]) -> str:
    filled = _HELD.sub(lambda match: values[int(match.group(1))], word)
    if word.startswith(_MARK) and filled.startswith("-"):
        msg = "the value of {{…}} begins with '-' and would be read as an option"
        raise UsageError(msg, hint="join it to its option: --system={{text}}")
    return filled


def parse_cell_line(line: str, evaluate: Evaluate) -> Call | None:
    """Return what the line asks for; None when it was ``--help``, now shown.

    Raises:
        UsageError: as `split`.
        click.UsageError: an option is unknown or its value out of range.
    """
    call = cell_command.main(split(line, evaluate), "%%llm", standalone_mode=False)
    return call if isinstance(call, Call) else None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@model_argument(required=False)
@assign_option("Assign the result to NAME.")
@click.option("--raw", is_flag=True, help="Send {{…}} as it is written.")
@click.option("--quiet", is_flag=True, help="Show nothing; use it with -o.")
@click.option("--no-stream", is_flag=True, help="Show the answer when it is whole.")
@click.option(
    "--format",
    "fmt",
    type=click.Choice(["md", "text"]),
    default="md",
    show_default=True,
    help="Read the answer as Markdown, or show it as it is.",
)
@request_options
def cell_command(
    request: Request,
    model: str | None,
    assign_to: str | None,
    raw: bool,
    quiet: bool,
    no_stream: bool,
    fmt: Format,
) -> Call:
    r"""Send the cell to MODEL and show the answer as it comes.

    Without MODEL the one used last answers, or the only one in the store. In the
    cell {{expr}} is replaced by the value of the Python expression; nothing else
    is special, and \{{ is a literal {{. Interrupting keeps what has been written.
    """
    return Call(request, model, assign_to, raw, quiet, not no_stream, fmt)
