"""OpenAI's dialect: vLLM, llama-server, LM Studio, TGI, hosted models, Ollama too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from localkit.errors import RemoteError
from localkit.io.http.failures import shown
from localkit.remote.keys import OPENAI
from localkit.remote.listening import Listening
from localkit.remote.openai_forms import Chunk, Models, Vectors
from localkit.remote.values import Echoed, Facts, RemoteAnswer, RemoteOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.events import CancelToken
    from localkit.remote.wire import Wire

FormT = TypeVar("FormT", bound=BaseModel)

# What the API has; the others are not sent, because servers refuse what they do not
# know, or worse, take no notice of it.
_SENT = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
_LEFT_OUT = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}
"""With the value at which leaving it out makes no difference."""


class OpenAI:
    """Speaks to one model of one server; implements `Speaks`."""

    def __init__(self, wire: Wire) -> None:
        """Take the URL as the base of the API where it has a path, else ``/v1``."""
        self._wire = wire
        self._model = wire.address.model
        self._base = wire.address.path or "/v1"

    def facts(self, *, cancel: CancelToken | None = None) -> Facts:
        """Return what the list of models says; empty where there is no list."""
        try:
            doing = "listing its models"
            given = self._wire.get(f"{self._base}/models", doing=doing, cancel=cancel)
        except RemoteError as error:
            if error.status in {404, 405, 501}:
                return Facts("", {})
            raise
        listed = self._read(Models, given).data or []
        for one in listed:
            if one.id == self._model:
                # Without what changes by itself: vLLM sends the time of the request.
                said = one.model_dump(exclude_none=True, exclude={"id"})
                return Facts("", said)
        if not listed:
            return Facts("", {})
        names = ", ".join(shown(one.id) for one in listed[:8])
        raise RemoteError(
            f"{self._wire.address.origin} has no model '{shown(self._model)}'",
            hint=f"it has {names}",
            status=404,
        )

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        options: RemoteOptions,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: CancelToken | None = None,
    ) -> RemoteAnswer:
        """Answer a conversation, streamed; raises as `Speaks`."""
        notes: list[str] = []
        body = self._body(options, notes) | {"messages": list(messages)}
        if tools:
            body["tools"] = list(tools)
        if options.json_schema is not None:
            body["response_format"] = _response_format(options.json_schema)
        if options.top_logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": options.top_logprobs}
        return self._stream("/chat/completions", body, notes, cancel)

    def complete(
        self, prompt: str, options: RemoteOptions, *, cancel: CancelToken | None = None
    ) -> RemoteAnswer:
        """Continue raw text, streamed; raises as `Speaks`."""
        notes: list[str] = []
        body = self._body(options, notes) | {"prompt": prompt}
        if options.json_schema is not None:
            body["response_format"] = _response_format(options.json_schema)
        if options.top_logprobs is not None:
            body["logprobs"] = max(1, options.top_logprobs)
        return self._stream("/completions", body, notes, cancel)

    def embed(
        self, texts: Sequence[str], *, cancel: CancelToken | None = None
    ) -> list[list[float]]:
        """Return a vector a text; raises as `Speaks`."""
        body = {
            "model": self._model,
            "input": list(texts),
            "encoding_format": "float",
        }
        given = self._wire.post(
            f"{self._base}/embeddings", body, doing="embedding", notes=[], cancel=cancel
        )
        data = sorted(self._read(Vectors, given).data, key=lambda one: one.index)
        if [one.index for one in data] != list(range(len(texts))):
            raise self._wire.broken(f"{len(data)} vectors for {len(texts)} texts")
        return [one.embedding for one in data]

    def echo(
        self, text: str, *, cancel: CancelToken | None = None
    ) -> list[Echoed] | None:
        """Return the log-probabilities of a prompt, if the answer holds them.

        Only where the tokens' texts are the prompt's. That they are there does not
        mean that they are right: see `remote.echo`.
        """
        body = {
            "model": self._model,
            "prompt": text,
            "max_tokens": 1,  # no server takes 0 for an answer without a token
            "temperature": 0.0,
            "echo": True,
            "logprobs": 1,
        }
        given = self._wire.post(
            f"{self._base}/completions",
            body,
            doing="reading a prompt's log-probabilities",
            notes=[],
            cancel=cancel,
        )
        chunk = self._read(Chunk, given)
        found = chunk.choices[0] if chunk.choices else None
        counted = chunk.usage.prompt_tokens if chunk.usage else None
        logprobs = found.logprobs if found else None
        if found is None or logprobs is None or counted is None:
            return None
        tokens, values = logprobs.tokens or [], logprobs.token_logprobs or []
        # Some count a BOS that they do not list, and some leave out the new token.
        for n_prompt in (counted, counted - 1):
            spelled = "".join(tokens[:n_prompt])
            if 1 <= n_prompt <= len(values) and spelled.endswith(text):
                pairs = zip(tokens[:n_prompt], values, strict=False)
                return [Echoed(token, value) for token, value in pairs]
        return None

    def _body(self, options: RemoteOptions, notes: list[str]) -> dict[str, Any]:
        given = {name: getattr(options, name) for name in _SENT}
        body = {name: value for name, value in given.items() if value is not None}
        greedy = options.temperature == 0
        for name, neutral in _LEFT_OUT.items():
            value = getattr(options, name)
            # Filters change nothing where the likeliest token is taken.
            without = greedy and name != "repeat_penalty"
            if value not in {None, neutral} and not without:
                notes.append(f"{name}={value:g} was not sent: the API has none")
        if options.stop:
            body["stop"] = list(options.stop)
        if options.max_tokens is not None:
            hosted = self._wire.address.origin == OPENAI
            name = "max_completion_tokens" if hosted else "max_tokens"
            body[name] = options.max_tokens
        return {
            "model": self._model,
            **body,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def _stream(
        self,
        path: str,
        body: Mapping[str, Any],
        notes: list[str],
        cancel: CancelToken | None,
    ) -> RemoteAnswer:
        heard = Listening(notes)
        url = self._base + path
        with self._wire.lines(
            url, body, doing="answering", notes=notes, cancel=cancel
        ) as lines:
            is_whole = False
            for line in lines:
                if not line.startswith(b"data:"):
                    if line.startswith(b"{"):  # an error, or an answer in one piece
                        self._take(self._read(Chunk, self._wire.parsed(line)), heard)
                    continue
                data = line[len(b"data:") :].strip()
                if data == b"[DONE]":
                    is_whole = True
                    break
                self._take(self._read(Chunk, self._wire.parsed(data)), heard)
        if not is_whole and not heard.has_ended:
            raise self._wire.cut_off()
        return heard.answer()

    def _take(self, chunk: Chunk, heard: Listening) -> None:
        if chunk.error:
            words = chunk.error.get("message") if isinstance(chunk.error, dict) else ""
            msg = f"{self._wire.address.origin} broke the answer off"
            said = shown(str(words or chunk.error))
            raise RemoteError(f"{msg}: {said}", hint="look into the server's log")
        if chunk.usage is not None:
            heard.n_prompt = chunk.usage.prompt_tokens or heard.n_prompt
            heard.n_generated = chunk.usage.completion_tokens or heard.n_generated
        for choice in chunk.choices[:1]:
            delta = choice.delta
            if delta is not None:
                thinking = delta.reasoning_content or delta.reasoning
                heard.heard(text=delta.content, thinking=thinking)
                for call in delta.tool_calls or []:
                    function = call.function
                    heard.called(
                        call.index,
                        name=(function and function.name) or "",
                        arguments=(function and function.arguments) or "",
                        id=call.id or "",
                    )
            heard.heard(text=choice.text)
            heard.ended(choice.finish_reason)
            if choice.logprobs is not None:
                logprobs = choice.logprobs
                heard.logprobs += [(t.token, t.logprob) for t in logprobs.content or []]
                heard.logprobs += [
                    (token, value)
                    for token, value in zip(
                        logprobs.tokens or [],
                        logprobs.token_logprobs or [],
                        strict=False,
                    )
                    if value is not None
                ]

    def _read(self, form: type[FormT], given: object) -> FormT:
        try:
            return form.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "all of it"
            raise self._wire.broken(
                f"what is not OpenAI's form ({where}: {first['msg'].lower()})"
            ) from None


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    if not schema:
        return {"type": "json_object"}
    named = {"name": "answer", "schema": dict(schema), "strict": True}
    return {"type": "json_schema", "json_schema": named}
