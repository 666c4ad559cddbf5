"""Ollama's own dialect: `/api/chat`, `/api/generate`, `/api/embed`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from localkit.errors import RemoteError
from localkit.io.http.failures import shown
from localkit.remote.listening import Listening
from localkit.remote.values import Echoed, Facts, RemoteAnswer, RemoteOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.events import CancelToken
    from localkit.remote.wire import Wire

_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repeat_penalty": "repeat_penalty",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "max_tokens": "num_predict",
}
FormT = TypeVar("FormT", bound=BaseModel)


class _Form(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Function(_Form):
    name: str
    arguments: dict[str, Any] = {}


class _Call(_Form):
    id: str | None = None
    function: _Function


class _Said(_Form):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Logprob(_Form):
    token: str
    logprob: float


class _Chunk(_Form):
    message: _Said | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    logprobs: list[_Logprob] | None = None
    error: str | None = None


class _Tag(_Form):
    name: str
    digest: str


class _Tags(_Form):
    models: list[_Tag] | None = None


class _Version(_Form):
    version: str


class _Vectors(_Form):
    embeddings: list[list[float]]


class Ollama:
    """Speaks to one model of one server; implements `Speaks`."""

    def __init__(self, wire: Wire) -> None:
        """Take the URL's path for a prefix of ``/api``."""
        self._wire = wire
        self._model = wire.address.model
        self._base = f"{wire.address.path}/api"

    def facts(self, *, cancel: CancelToken | None = None) -> Facts:
        """Return server version and the model's digest."""
        tags = self._wire.get(
            f"{self._base}/tags", doing="listing its models", cancel=cancel
        )
        models = self._read(_Tags, tags).models or []
        wanted = self._model if ":" in self._model.rpartition("/")[2] else None
        names = {self._model, wanted or f"{self._model}:latest"}
        digest = next((one.digest for one in models if one.name in names), None)
        if digest is None:
            listed = ", ".join(shown(one.name) for one in models[:8]) or "none"
            raise RemoteError(
                f"{self._wire.address.origin} has no model '{shown(self._model)}'",
                hint=f"it has {listed}",
                status=404,
            )
        said = self._wire.get(
            f"{self._base}/version", doing="asking its version", cancel=cancel
        )
        version = self._read(_Version, said).version
        return Facts(f"Ollama {shown(version)}", {"digest": digest})

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        options: RemoteOptions,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: CancelToken | None = None,
    ) -> RemoteAnswer:
        """Answer a conversation, streamed; raises as `Speaks`."""
        body = self._body(options)
        body["messages"] = [_own_message(message) for message in messages]
        if tools:
            body["tools"] = list(tools)
        return self._stream("/chat", body, cancel)

    def complete(
        self, prompt: str, options: RemoteOptions, *, cancel: CancelToken | None = None
    ) -> RemoteAnswer:
        """Continue raw text, streamed; raises as `Speaks`."""
        body = self._body(options) | {"prompt": prompt, "raw": True}
        return self._stream("/generate", body, cancel)

    def embed(
        self, texts: Sequence[str], *, cancel: CancelToken | None = None
    ) -> list[list[float]]:
        """Return a vector a text; one that is too long is refused, not cut."""
        body = {"model": self._model, "input": list(texts), "truncate": False}
        given = self._wire.post(
            f"{self._base}/embed", body, doing="embedding", notes=[], cancel=cancel
        )
        vectors = self._read(_Vectors, given).embeddings
        if len(vectors) != len(texts):
            raise self._wire.broken(f"{len(vectors)} vectors for {len(texts)} texts")
        return vectors

    def echo(
        self, text: str, *, cancel: CancelToken | None = None
    ) -> list[Echoed] | None:
        """Return None: Ollama does not say how likely a prompt is."""
        del text, cancel
        return None

    def _body(self, options: RemoteOptions) -> dict[str, Any]:
        given = {theirs: getattr(options, ours) for ours, theirs in _OPTIONS.items()}
        body: dict[str, Any] = {
            "model": self._model,
            "stream": True,
            # A conversation that is too long is refused, not cut behind one's back.
            "truncate": False,
            "shift": False,
            "options": {name: one for name, one in given.items() if one is not None},
        }
        if options.stop:
            body["options"]["stop"] = list(options.stop)
        if options.json_schema is not None:
            body["format"] = dict(options.json_schema) or "json"
        if options.top_logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": options.top_logprobs}
        return body

    def _stream(
        self, path: str, body: Mapping[str, Any], cancel: CancelToken | None
    ) -> RemoteAnswer:
        notes: list[str] = []
        heard = Listening(notes)
        url = self._base + path
        with self._wire.lines(
            url, body, doing="answering", notes=notes, cancel=cancel
        ) as lines:
            for line in lines:
                if line.strip():
                    self._take(self._read(_Chunk, self._wire.parsed(line)), heard)
        if not heard.has_ended:
            raise self._wire.cut_off()
        return heard.answer()

    def _take(self, chunk: _Chunk, heard: Listening) -> None:
        if chunk.error:
            msg = f"{self._wire.address.origin} broke the answer off"
            raise RemoteError(
                f"{msg}: {shown(chunk.error)}", hint="look into the server's log"
            )
        said = chunk.message or _Said(content=chunk.response, thinking=chunk.thinking)
        heard.heard(text=said.content, thinking=said.thinking)
        for number, call in enumerate(said.tool_calls or []):
            arguments = json.dumps(call.function.arguments)
            heard.called(
                len(heard.text) * 1000 + number,
                name=call.function.name,
                arguments=arguments,
                id=call.id or "",
            )
        heard.logprobs += [(one.token, one.logprob) for one in chunk.logprobs or []]
        if chunk.done:
            heard.ended(chunk.done_reason or "stop")
            heard.n_prompt = chunk.prompt_eval_count or 0
            heard.n_generated = chunk.eval_count or 0

    def _read(self, form: type[FormT], given: object) -> FormT:
        try:
            return form.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "all of it"
            raise self._wire.broken(
                f"what is not Ollama's form ({where}: {first['msg'].lower()})"
            ) from None


def _own_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message as Ollama has it: arguments are an object there."""
    own = dict(message)
    if "tool_calls" in own:
        own["tool_calls"] = [
            {
                "function": {
                    "name": call["function"]["name"],
                    "arguments": json.loads(call["function"]["arguments"]),
                }
            }
            for call in own["tool_calls"]
        ]
    if "reasoning_content" in own:
        own["thinking"] = own.pop("reasoning_content")
    if own.get("role") == "tool":
        own["tool_name"] = own.pop("name", "")
    return own
