"""How a prompt is to be answered: the options that `run` and `%%llm` share."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from localkit.errors import UsageError
from localkit.runtime.protocol import LoadParams, SamplingParams

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.chat.result import Result
    from localkit.events import OnProgress
    from localkit.kit import Kit
    from localkit.model import Model

_DEFAULTS = SamplingParams()
_OPTIONS = (
    click.option("-s", "--system", metavar="TEXT", help="System message."),
    click.option(
        "-t",
        "--temperature",
        type=click.FloatRange(0, 5),
        default=_DEFAULTS.temperature,
        show_default=True,
        help="0 takes the most likely token every time.",
    ),
    click.option(
        "--top-k",
        type=click.IntRange(min=0),
        default=_DEFAULTS.top_k,
        show_default=True,
        help="Choose among this many tokens; 0: no limit.",
    ),
    click.option(
        "--top-p",
        type=click.FloatRange(0, 1),
        default=_DEFAULTS.top_p,
        show_default=True,
        help="…among the likeliest that make up this share.",
    ),
    click.option(
        "--min-p",
        type=click.FloatRange(0, 1),
        default=_DEFAULTS.min_p,
        show_default=True,
        help="…among those at least this likely beside the likeliest.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 2),
        help="Same seed, same answer. [default: drawn, and reported]",
    ),
    click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        help="Most tokens of the answer. [default: LOCALKIT_MAX_TOKENS, else 1024]",
    ),
    click.option(
        "--n-ctx",
        type=click.IntRange(min=32),
        help="Context length. [default: LOCALKIT_CONTEXT_LENGTH, else 4096]",
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
    sampling: SamplingParams = _DEFAULTS
    n_ctx: int | None = None
    """None: the default."""
    continues: bool = False
    """Whether the prompt is text to go on with, not a message to answer."""

    def __post_init__(self) -> None:
        """Refuse a system message where no template could place it."""
        if self.continues and self.system is not None:
            msg = "a system message needs the chat template"
            raise UsageError(msg, hint="leave out --system or --no-template")

    def load(self, model: str, *, kit: Kit, on_progress: OnProgress) -> Model:
        """Return ``model``, loaded now unless it is resident."""
        return kit.load(model, LoadParams(n_ctx=self.n_ctx), on_progress=on_progress)

    def send(
        self, prompt: str, model: Model, *, on_text: Callable[[str], None]
    ) -> Result:
        """Have ``prompt`` answered.

        Ctrl-C ends the answer, not the call: the result says ``interrupted``.
        """
        if self.continues:
            return model.generate(prompt, params=self.sampling, on_text=on_text)
        return model.chat(
            prompt, system=self.system, params=self.sampling, on_text=on_text
        )


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
    return Request(
        sampling=SamplingParams(**{name: kwargs.pop(name) for name in names}),
        system=kwargs.pop("system"),
        n_ctx=kwargs.pop("n_ctx"),
        continues=kwargs.pop("continues"),
    )
