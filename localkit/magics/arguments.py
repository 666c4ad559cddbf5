"""The line of a magic: words with ``{{expr}}`` filled in, read by click.

Words are separated by blanks; quotes keep blanks together; a backslash is an
ordinary character, as in Windows paths. An ``{{expr}}`` is one piece whatever its
value holds, so a value can be neither split nor quoted open, and one that begins
with a dash is refused where it would be read as an option.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from localkit.asking.tool_rounds import MAX_ROUNDS
from localkit.chat.tools import as_tools
from localkit.cli.files import complete_names_and_files
from localkit.cli.group import assign_option
from localkit.cli.names import complete_names, named, namespace
from localkit.cli.parameters import complete_model
from localkit.cli.request import Request, request_options
from localkit.errors import UsageError
from localkit.magics.interpolate import Evaluate, interpolate
from localkit.magics.shaping import FORMATS, Format

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.chat.tools import ToolLike

MAX_ANSWERS = 64
"""To one question."""

# A private-use character stands for a value until the words are separated.
_MARK = "\ue000"
_HELD = re.compile(f"{_MARK}([0-9]+){_MARK}")


@dataclass(frozen=True, slots=True)
class Call:
    """What the line of a ``%%llm`` cell asks for."""

    request: Request
    models: tuple[str, ...] = ()
    assign_to: str | None = None
    raw: bool = False
    quiet: bool = False
    stream: bool = True
    fmt: Format | None = None
    """None: as the magic is configured, else Markdown."""
    prompt_file: str | None = None
    n: int | None = None
    """So many answers; None: one, which is not in a list."""
    run_tools: bool = False
    max_rounds: int = MAX_ROUNDS
    chat: str | None = None
    """Conversation that goes on."""
    start: str | None = None
    """Conversation or digest that `chat` begins with."""
    fresh: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot go together."""
        several = self.n is not None or len(self.models) > 1
        for given, what, why, hint in (
            (
                self.n is not None and len(self.models) > 1,
                "-n and several models are given",
                "",
                "ask one model n times, or several once",
            ),
            (
                several and self.chat is not None,
                "a conversation goes on with one answer",
                ", and several are asked for",
                "leave out --chat, or ask one model once",
            ),
            (
                several and self.run_tools,
                "--run-tools goes with one answer",
                ", and several are asked for",
                "ask one model once",
            ),
            (
                self.run_tools and not self.request.tools,
                "--run-tools is given without --tools",
                "",
                "name the functions: --tools f,g",
            ),
            (
                self.start is not None and self.chat is None,
                "--from is given without --chat",
                "",
                "name the conversation that begins there: --chat NAME",
            ),
            (
                self.chat is not None and self.request.continues,
                "a conversation needs the chat template",
                "",
                "leave out --chat or --no-template",
            ),
        ):
            if given:
                raise UsageError(what + why, hint=hint)


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


class Scope(NamedTuple):
    """What the options of a cell may name."""

    names: Mapping[str, object]


def parse_cell_line(
    line: str, evaluate: Evaluate, names: Mapping[str, object] | None = None
) -> Call | None:
    """Return what the line asks for; None when it was ``--help``, now shown.

    Args:
        line: What stands behind ``%%llm``.
        evaluate: Gives the value of an ``{{expr}}``.
        names: The user's namespace, for options that name Python values.

    Raises:
        UsageError: as `split`, or options contradict each other.
        click.UsageError: an option is unknown or its value out of range.
    """
    words = split(line, evaluate)
    scope = Scope(names or {})
    call = cell_command.main(words, "%%llm", standalone_mode=False, obj=scope)
    return call if isinstance(call, Call) else None


@click.command(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 88,
    }
)
@click.argument("models", nargs=-1, metavar="[MODEL]…", shell_complete=complete_model)
@assign_option("Assign the result to NAME; of several models or -n, a list.")
@click.option(
    "-f",
    "--prompt-file",
    metavar="FILE",
    shell_complete=complete_names_and_files(lambda _: False),
    help="Put the text of FILE before the cell's.",
)
@click.option("--raw", is_flag=True, help="Send {{…}} as it is written.")
@click.option("--quiet", is_flag=True, help="Show nothing; use it with -o.")
@click.option("--no-stream", is_flag=True, help="Show the answer when it is whole.")
@click.option(
    "--format",
    "fmt",
    type=click.Choice(FORMATS),
    help="Read the answer as Markdown, show it as it is, as JSON, or its code alone, "
    "which becomes the next cell.  [default: md]",
)
@click.option(
    "-n", type=click.IntRange(1, MAX_ANSWERS), help="So many answers; seeds count up."
)
@click.option(
    "--chat", metavar="NAME", help="Go on with the conversation NAME, or begin it."
)
@click.option(
    "--from",
    "start",
    metavar="NAME|DIGEST",
    help="Begin it as a fork of another conversation, or of a message.",
)
@click.option(
    "--tools",
    "tools",
    metavar="F,G",
    callback=lambda context, _option, text: _tools(context, text),
    shell_complete=complete_names(callable),
    help="Functions of the notebook that the model may ask for.",
)
@click.option(
    "--tool-choice",
    metavar="HOW",
    default="auto",
    help="auto: call one or none; required: one at first; or the name of that one.",
)
@click.option("--run-tools", is_flag=True, help="Run what it asks for, and show it.")
@click.option(
    "--max-rounds",
    type=click.IntRange(1, 100),
    default=MAX_ROUNDS,
    show_default=True,
    help="How often it may ask.",
)
@click.option("--fresh", is_flag=True, help="Ask again where an answer is kept.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show the prompt as the model would get it, and with what; ask nothing.",
)
@request_options
def cell_command(
    request: Request,
    no_stream: bool,
    tools: tuple[ToolLike, ...],
    tool_choice: str,
    **options: Any,
) -> Call:
    r"""Send the cell to MODEL and show the answer as it comes.

    Without MODEL the one used last answers, or the only one in the store; several
    answer side by side. In the cell {{expr}} is replaced by the value of the Python
    expression; nothing else is special, and \{{ is a literal {{. Interrupting keeps
    what has been written.

    A kept answer is shown again where it would come out the same; --fresh asks anew.
    """
    request = dataclasses.replace(request, tools=tools, tool_choice=tool_choice)
    return Call(request, stream=not no_stream, **options)


def _tools(context: click.Context, text: str | None) -> tuple[ToolLike, ...]:
    """Return the functions that ``text`` names.

    Raises:
        UsageError: a name has no value, or it is no function a model can call.
    """
    if text is None:
        return ()
    names = [one.strip() for one in text.split(",") if one.strip()]
    scope = namespace(context)
    found = tuple(named(one, scope, option="--tools") for one in names)
    as_tools(found)  # type: ignore[arg-type] # it refuses what is none
    return found  # type: ignore[return-value]
