"""How a prompt is to be answered: the options that `run` and `%%llm` share."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from localkit.chat.messages import as_messages
from localkit.cli.files import complete_names_and_files
from localkit.cli.forms import FORM_OPTIONS, take_form
from localkit.cli.images import SUFFIXES, image_named, is_image
from localkit.cli.names import namespace
from localkit.errors import UsageError
from localkit.runtime.protocol import LoadParams, SamplingParams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from localkit.asking.many import AnsweringMany
    from localkit.chat.messages import Message, MessageLike
    from localkit.chat.result import Result
    from localkit.chat.tools import ToolLike
    from localkit.events import OnProgress
    from localkit.kit import Kit
    from localkit.model import Model
    from localkit.runtime.vision.images import Image
    from localkit.store import StoredModel

_DEFAULTS = SamplingParams()
MAX_LOGPROBS = 100
SAMPLING = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "seed",
    "max_tokens",
    "top_logprobs",
    "prompt_logprobs",
)
"""Sampling params that have an option."""


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
    *FORM_OPTIONS,
    click.option(
        "--image",
        "images",
        metavar="FILE",
        multiple=True,
        shell_complete=complete_names_and_files(is_image, *SUFFIXES),
        help="Image before the prompt, again for more; in a notebook also the name of "
        "a Pillow image or of bytes.",
    ),
    click.option(
        "--top-logprobs",
        metavar="N",
        type=click.IntRange(0, MAX_LOGPROBS),
        help="Keep each token's logprob, and those of N alternatives.",
    ),
    click.option(
        "--prompt-logprobs",
        metavar="N",
        type=click.IntRange(0, MAX_LOGPROBS),
        help="The same for the tokens of the prompt; all of it is computed then.",
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
    images: tuple[Image, ...] = ()
    """What to show before the prompt."""
    tools: tuple[ToolLike, ...] = ()
    """What the model may call; described to it where its template cannot."""
    tool_choice: str = "auto"
    """``auto``, ``none``, ``required``, or the tool that it must call."""

    def __post_init__(self) -> None:
        """Refuse what no template could place."""
        needs = {
            "a system message": (self.system is not None, "--system"),
            "thinking": (self.think is not None, "--think"),
            "an image": (bool(self.images), "--image"),
            "a tool": (bool(self.tools), "--tools"),
        }
        for what, (given, option) in needs.items():
            if self.continues and given:
                msg = f"{what} needs the chat template"
                raise UsageError(msg, hint=f"leave out {option} or --no-template")

    @property
    def load_params(self) -> LoadParams:
        """How to load the model."""
        return LoadParams(n_ctx=self.n_ctx)

    @property
    def options(self) -> dict[str, Any]:
        """What `Model.chat`, or `Model.generate`, gets beside the prompt."""
        if self.continues:
            return dict(self.sampling)
        chat: dict[str, Any] = {"think": self.think}
        if self.tools:
            chat |= {"tools": self.tools, "tool_prompt": True}
            chat["tool_choice"] = self.tool_choice
        return {**chat, **self.sampling}

    def conversation(
        self, prompt: str, before: Sequence[Message] = ()
    ) -> tuple[Message, ...]:
        """Return the messages that ask for an answer to ``prompt``.

        Args:
            prompt: What the user says.
            before: What was said before; its instructions stay the only ones.

        Raises:
            UsageError: it begins with other instructions than those given.
        """
        content: str | list[object] = prompt
        if self.images:
            shown = [{"type": "image", "image": one} for one in self.images]
            content = [*shown, {"type": "text", "text": prompt}]
        said: list[MessageLike] = [*before, {"role": "user", "content": content}]
        system = self.system
        if before and before[0].role == "system" and before[0].content == system:
            system = None
        return as_messages(said, system=system)

    def load(
        self, model: str | StoredModel, *, kit: Kit, on_progress: OnProgress
    ) -> Model:
        """Return ``model``, loaded now unless it is resident."""
        return kit.load(
            model,
            self.load_params,
            keep_alive=self.keep_alive,
            on_progress=on_progress,
        )

    def send(
        self, prompt: str, model: Model, *, on_text: Callable[[str], None]
    ) -> Result:
        """Have ``prompt`` answered.

        Ctrl-C ends the answer, not the call: the result says ``interrupted``.
        """
        messages = () if self.continues else self.conversation(prompt)
        return self.send_all(prompt, messages, model, on_text=on_text)

    def send_all(
        self,
        prompt: str,
        messages: Sequence[Message],
        model: Model,
        *,
        on_text: Callable[[str], None],
    ) -> Result:
        """Have a conversation answered; the prompt alone where there is no template."""
        result: Result
        if self.continues:
            result = model.generate(prompt, on_text=on_text, **self.options)
        else:
            result = model.chat(messages, on_text=on_text, **self.options)
        return result

    def start(
        self, prompt: str, messages: Sequence[Message], model: Model, *, n: int
    ) -> AnsweringMany:
        """Begin ``n`` answers side by side, with seeds that count up."""
        answers: AnsweringMany
        if self.continues:
            answers = model.generate(prompt, n=n, stream=True, **self.options)
        else:
            answers = model.chat(messages, n=n, stream=True, **self.options)
        return answers


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
    names = namespace()
    values = {name: kwargs.pop(name) for name in SAMPLING}
    values["structure"] = take_form(kwargs, names)
    given = {name: value for name, value in values.items() if value is not None}
    images = kwargs.pop("images")
    own = ("system", "n_ctx", "keep_alive", "think", "continues")
    return Request(
        sampling=given,
        images=tuple(image_named(one, names) for one in images),
        **{name: kwargs.pop(name) for name in own},
    )
