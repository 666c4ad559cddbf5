"""What is asked of a remote model and what it gives, in no dialect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.events import CancelToken

Ending = Literal["stop", "length", "tool_calls", "error"]


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """How an answer is sampled; None is not sent: the server's default holds."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    json_schema: Mapping[str, Any] | None = None
    """What the answer must look like; an empty one: any JSON object."""
    top_logprobs: int | None = None
    """Alternatives to report with each token's log-probability; 0: its own alone."""


@dataclass(frozen=True, slots=True)
class RemoteAnswer:
    """What a server answered."""

    text: str = field(repr=False)
    finish_reason: Ending
    thinking: str = field(default="", repr=False)
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """As the OpenAI API writes them, whatever the server speaks."""
    n_prompt: int = 0
    """Tokens, by the server's count; 0 where it counts none."""
    n_generated: int = 0
    ttft_s: float = 0.0
    """From the request, connecting included, to the first piece of the answer."""
    total_s: float = 0.0
    gaps_s: tuple[float, ...] = ()
    """Seconds between pieces; a piece is one token with most servers."""
    logprobs: tuple[tuple[str, float], ...] = ()
    """(token's text, natural log), where they were asked for and given."""
    notes: tuple[str, ...] = ()
    """What a reader must know: it was asked twice, an option was left out."""


class Echoed(NamedTuple):
    """A token of a prompt, as the server read it."""

    text: str
    logprob: float | None
    """Natural log, after the tokens before it; None of the first."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server says of itself and of the model."""

    server: str
    """Such as ``Ollama 0.33.0``; empty where it does not say."""
    model: Mapping[str, Any]
    """What tells this model from another of its name: a digest, a size."""


class Speaks(Protocol):
    """A dialect: how everything is said to one server. Safe from many threads."""

    def facts(self, *, cancel: CancelToken | None = None) -> Facts:
        """Return what the server says of the model; raises as `chat`."""

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        options: RemoteOptions,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: CancelToken | None = None,
    ) -> RemoteAnswer:
        """Answer a conversation; messages and tools as the OpenAI API has them.

        Raises:
            RemoteError: the server refuses, fails or cannot be reached.
            ContextTooLong: it says that the conversation is too long.
            Cancelled: ``cancel`` was raised.
        """

    def complete(
        self, prompt: str, options: RemoteOptions, *, cancel: CancelToken | None = None
    ) -> RemoteAnswer:
        """Continue raw text; raises as `chat`."""

    def embed(
        self, texts: Sequence[str], *, cancel: CancelToken | None = None
    ) -> list[list[float]]:
        """Return a vector a text; raises as `chat`."""

    def echo(
        self, text: str, *, cancel: CancelToken | None = None
    ) -> list[Echoed] | None:
        """Return how likely each token of ``text`` is; None: it does not say."""
