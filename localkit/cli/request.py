"""How a prompt is to be answered: the options that `run` and `%%llm` share."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localkit.errors import UsageError
from localkit.runtime.protocol import LoadParams, SamplingParams, Structure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localkit.chat.result import Result
    from localkit.events import OnProgress
    from localkit.kit import Kit
    from localkit.model import Model

_DEFAULTS = SamplingParams()


def _else(name: str) -> str:
    """Return what stands in for an option that is not given."""
    return f"[default: the model's, else {getattr(_DEFAULTS, name):g}]"


_OPTIONS = (
    click.option(
        "-s",
        "--system",
        metavar="TEXT",
        help="System message. [default: the model's, if any]",
    ),
    click.option(
        "-t",
        "--temperature",
        type=click.FloatRange(0, 5),
        help="0 takes the most likely token every time. " + _else("temperature"),
    ),
    click.option(
        "--top-k",
        type=click.IntRange(min=0),
        help="Choose among this many tokens; 0: no limit. " + _else("top_k"),
    ),
    click.option(
        "--top-p",
        type=click.FloatRange(0, 1),
        help="…among the likeliest that make up this share. " + _else("top_p"),
    ),
    click.option(
        "--min-p",
        type=click.FloatRange(0, 1),
        help="…among those at least this likely beside the likeliest. "
        + _else("min_p"),
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 2),
        help="Same seed, same answer. [default: the model's, else drawn and reported]",
    ),
    click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        help="Most tokens of the answer. "
        "[default: the model's, else LOCALKIT_MAX_TOKENS, else 1024]",
    ),
    click.option(
        "--n-ctx",
        type=click.IntRange(min=32),
        help="Context length. "
        "[default: the model's, else LOCALKIT_CONTEXT_LENGTH, else 4096]",
    ),
    click.option(
        "--keep-alive",
        metavar="TIME",
        help="How long the model stays loaded when unused: 5m, 0, -1 (for ever). "
        "[default: LOCALKIT_KEEP_ALIVE, else 5m]",
    ),
    click.option(
        "--schema",
        metavar="JSON|FILE",
        help="Form of the answer: a JSON Schema, its file, or 'json' for any object.",
    ),
    click.option(
        "--think/--no-think",
        default=None,
        help="Ask for reasoning before the answer, or for none. [default: the model's]",
    ),
    click.option(
        "--no-template",
        "continues",
        is_flag=True,
        help="Continue the text as it is, without the chat template.",
    ),
)


@dataclass(frozen=True, slots=True)
class Request:
    """What to send a prompt with."""

    system: str | None = None
    """None: the model's."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """Sampling params that were given; the others are the model's."""
    n_ctx: int | None = None
    """None: the model's, else the default."""
    keep_alive: str | None = None
    """None: the settings'."""
    think: bool | None = None
    """None: as the model's template does by itself."""
    continues: bool = False
    """Whether the prompt is text to go on with, not a message to answer."""

    def __post_init__(self) -> None:
        """Refuse a system message where no template could place it."""
        if self.continues and self.system is not None:
            msg = "a system message needs the chat template"
            raise UsageError(msg, hint="leave out --system or --no-template")
        if self.continues and self.think is not None:
            msg = "thinking needs the chat template"
            raise UsageError(msg, hint="leave out --think or --no-template")

    def load(self, model: str, *, kit: Kit, on_progress: OnProgress) -> Model:
        """Return ``model``, loaded now unless it is resident."""
        return kit.load(
            model,
            LoadParams(n_ctx=self.n_ctx),
            keep_alive=self.keep_alive,
            on_progress=on_progress,
        )

    def send(
        self, prompt: str, model: Model, *, on_text: Callable[[str], None]
    ) -> Result:
        """Have ``prompt`` answered.

        Ctrl-C ends the answer, not the call: the result says ``interrupted``.
        """
        result: Result
        if self.continues:
            result = model.generate(prompt, on_text=on_text, **self.sampling)
        else:
            result = model.chat(
                prompt,
                system=self.system,
                think=self.think,
                on_text=on_text,
                **self.sampling,
            )
        return result


def request_options(function: Callable[..., object]) -> Callable[..., object]:
    """Add the options to a command, which gets them as one ``request``."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> object:
        return function(*args, request=_take(kwargs), **kwargs)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def _take(kwargs: dict[str, Any]) -> Request:
    """Move the options out of ``kwargs`` into a request."""
    names = ("temperature", "top_k", "top_p", "min_p", "seed", "max_tokens")
    values = {name: kwargs.pop(name) for name in names}
    values["structure"] = _structure(kwargs.pop("schema"))
    given = {name: value for name, value in values.items() if value is not None}
    own = ("system", "n_ctx", "keep_alive", "think", "continues")
    return Request(
        sampling=given,
        **{name: kwargs.pop(name) for name in own},
    )


def _structure(schema: str | None) -> Structure | None:
    """Return the form that ``schema`` asks for.

    Raises:
        UsageError: a file that is not there.
    """
    if schema is None:
        return None
    if schema == "json":
        return Structure("json")
    if schema.lstrip().startswith("{"):
        return Structure("json_schema", schema)
    try:
        return Structure("json_schema", Path(schema).read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"there is no schema {schema}: {error.strerror}"
        raise UsageError(msg, hint="give a JSON Schema, its file, or 'json'") from error
