"""What an OpenAI-like server sends, as far as it is read."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Form(BaseModel):
    # Servers send null for what they leave out, and much that nobody asked for.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Function(_Form):
    """A piece of a tool call."""

    name: str | None = None
    arguments: str | None = None


class CallDelta(_Form):
    """A piece of a tool call, and which one it belongs to."""

    index: int = 0
    id: str | None = None
    function: Function | None = None


class Delta(_Form):
    """A piece of a message."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    """What vLLM and Ollama call the same."""
    tool_calls: list[CallDelta] | None = None


class TokenLogprob(_Form):
    """A token of a chat answer."""

    token: str
    logprob: float


class Logprobs(_Form):
    """Log-probabilities, in the form of a chat or of a completion."""

    content: list[TokenLogprob] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None


class Choice(_Form):
    """The answer, or a piece of it."""

    delta: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Usage(_Form):
    """Token counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Chunk(_Form):
    """One event of a streamed answer, or all of one that is not."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Any = None


class Vector(_Form):
    """One embedding."""

    index: int
    embedding: list[float]


class Vectors(_Form):
    """What ``/v1/embeddings`` gives."""

    data: list[Vector]


class Listed(_Form):
    """A model in the list; more than its id is up to the server."""

    id: str
    owned_by: str | None = None
    root: str | None = None
    max_model_len: int | None = None
    meta: dict[str, Any] | None = None
    """llama.cpp's: parameters, size, vocabulary."""


class Models(_Form):
    """What ``/v1/models`` gives."""

    data: list[Listed] | None = None
