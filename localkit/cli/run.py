"""The command that asks a model one question."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from localkit.cli.files import complete_names_and_files, read_text
from localkit.cli.group import command
from localkit.cli.parameters import model_argument
from localkit.cli.request import Request, request_options
from localkit.errors import UsageError
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.chat.result import Result
    from localkit.cli.screen import Screen


@command("run")
@model_argument()
@click.argument("prompt", nargs=-1)
@click.option(
    "-f",
    "--prompt-file",
    metavar="FILE",
    shell_complete=complete_names_and_files(lambda _: False),
    help="Put the text of FILE before PROMPT.",
)
@request_options
def run(
    screen: Screen,
    model: str,
    prompt: tuple[str, ...],
    prompt_file: str | None,
    request: Request,
) -> Result:
    """Ask MODEL one question and show the answer as it comes.

    Without PROMPT or FILE the question is read from standard input. In a notebook
    `%%llm MODEL` takes it from the cell, and can do more: conversations, tools,
    several models side by side.
    """
    text = " ".join(prompt)
    if prompt_file is not None:
        file = read_text(Path(prompt_file), what="prompt")
        text = f"{file}\n\n{text}" if text else file
    text = text or _standard_input()
    with screen.progress() as on_progress:
        loaded = request.load(model, kit=default_kit(), on_progress=on_progress)
    view = screen.answer()
    result = request.send(text, loaded, on_text=view.write)
    view.finish(result)
    if result.finish_reason == "interrupted":
        raise KeyboardInterrupt
    return result


def _standard_input() -> str:
    """Return what is piped in.

    Raises:
        UsageError: nothing is.
    """
    text = "" if sys.stdin.isatty() else sys.stdin.read()
    if not text.strip():
        msg = "there is no prompt"
        raise UsageError(msg, hint="put it after the model, or pipe it in")
    return text
