"""The commands that look at single tokens: of an answer, and of a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model, model_argument
from localkit.errors import UsageError
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.cli.screen import Screen
    from localkit.widgets.prompt.inspect_prompt import Inspector
    from localkit.widgets.tokens.tokens import TokenView

_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@command("tokens")
@model_argument()
@click.argument("prompt", nargs=-1, required=True)
@click.option(
    "--against",
    metavar="MODEL",
    shell_complete=complete_model,
    help="Another quant of it: KL divergence token by token, and where they part.",
)
@click.option(
    "--text",
    type=_EXISTING,
    metavar="FILE",
    help="Look at the answer in FILE, not at a new one.",
)
@click.option(
    "-s",
    "--system",
    metavar="TEXT",
    help="System message. [default: the model's, if any]",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(1, 2000),
    default=64,
    show_default=True,
    help="Most tokens of an answer.",
)
@click.option(
    "--top",
    type=click.IntRange(1, 20),
    default=5,
    show_default=True,
    help="Alternatives at each position.",
)
@click.option(
    "-t",
    "--temperature",
    type=click.FloatRange(0, 5),
    default=0.0,
    show_default=True,
    help="0 takes the most likely token every time.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 2),
    default=0,
    show_default=True,
    help="Same seed, same answer.",
)
@click.option(
    "--raw",
    is_flag=True,
    help="Continue the text as it is, without the chat template.",
)
def tokens(
    screen: Screen,
    model: str,
    prompt: tuple[str, ...],
    against: str | None,
    text: Path | None,
    system: str | None,
    max_tokens: int,
    top: int,
    temperature: float,
    seed: int,
    raw: bool,
) -> TokenView:
    """Show how sure MODEL is of each token of its answer, and what else might come.

    With `--against` two quants read the same tokens: where does quantization bite?
    In a notebook any other token can be tried: the model goes on from there.
    """
    from localkit.widgets.tokens.tokens import tokens as look

    with screen.progress() as on_progress:
        view = look(
            model,
            " ".join(prompt),
            against=against,
            text=None if text is None else _read(text),
            system=system,
            max_tokens=max_tokens,
            seed=seed,
            temperature=temperature,
            top=top,
            raw=raw,
            kit=default_kit(),
            on_progress=on_progress,
        )
    screen.panel(view.panel)
    return view


@command("inspect")
@model_argument()
@click.argument("prompt", nargs=-1, required=True)
@click.option(
    "-s",
    "--system",
    metavar="TEXT",
    help="System message. [default: the model's, if any]",
)
@click.option(
    "--think/--no-think",
    default=None,
    help="Ask for reasoning before the answer, or for none. [default: the model's]",
)
@click.option(
    "--n-ctx",
    type=click.IntRange(min=32),
    help="Context length. "
    "[default: the model's, else LOCALKIT_CONTEXT_LENGTH, else 4096]",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    help="Room for the answer. [default: LOCALKIT_MAX_TOKENS, else 1024]",
)
@click.option(
    "--raw",
    is_flag=True,
    help="Take the text as it is, without the chat template.",
)
def inspect(
    screen: Screen,
    model: str,
    prompt: tuple[str, ...],
    system: str | None,
    think: bool | None,
    n_ctx: int | None,
    max_tokens: int | None,
    raw: bool,
) -> Inspector:
    """Show PROMPT as MODEL reads it: template, control tokens, positions, room left.

    Nothing is generated.
    """
    from localkit.widgets.prompt.inspect_prompt import inspect_prompt

    with screen.progress() as on_progress:
        view = inspect_prompt(
            model,
            " ".join(prompt),
            system=system,
            think=think,
            n_ctx=n_ctx,
            max_tokens=max_tokens,
            raw=raw,
            kit=default_kit(),
            on_progress=on_progress,
        )
    screen.panel(view.panel)
    return view


def _read(path: Path) -> str:
    """Return the text of a file, without the line end at its end.

    Raises:
        UsageError: it is not UTF-8, or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the answer in {path.name} cannot be read: {error}"
        raise UsageError(msg, hint="give a text file in UTF-8") from error
