"""RemoteSubject: a model behind a URL that answers in an evaluation.

What the server cannot give is `Unsupported`, so that it is unscored and not guessed;
an option that it does not know is left out and noted in the answer.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from localkit.chat.tools import as_tool_call, as_tools
from localkit.errors import RemoteError, Unsupported, UsageError
from localkit.evals.scorers.choices import ChoiceScore, ItemScore
from localkit.evals.scorers.protocol import Answer
from localkit.evals.tasks.prompts import text_of
from localkit.remote import echo
from localkit.remote.model import open_model
from localkit.remote.values import RemoteAnswer, RemoteOptions
from localkit.runtime.params import SamplingParams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from localkit.chat.messages import Message
    from localkit.chat.tools import ToolLike
    from localkit.evals.tasks.sample import Sample
    from localkit.evals.tasks.task import Task
    from localkit.events import CancelToken
    from localkit.remote.model import RemoteModel
    from localkit.remote.values import Echoed

_PLAIN = SamplingParams()
# Neither dialect has them: a value other than the default cannot be had.
_LOCAL_ONLY = (
    "typical_p",
    "xtc_probability",
    "dry_multiplier",
    "mirostat",
    "logit_bias",
    "prompt_logprobs",
)
_PORTION = 32


class RemoteSubject:
    """A model behind a URL; implements `Subject`."""

    def __init__(self, model: RemoteModel, *, label: str = "") -> None:
        """Take an open model, which this closes in the end."""
        self.model = model
        self.label = label or str(model.address)
        self._why_no_echo: str | None = None

    def __repr__(self) -> str:
        """Name it as tables do."""
        return f"<RemoteSubject {self.label}>"

    @property
    def digest(self) -> str:
        """sha256 of URL, name, and what the server says of the model."""
        return self.model.digest

    @property
    def environment(self) -> Mapping[str, str | int]:
        """What is known of the other side: not its threads, kernels or context."""
        dialect = self.model.address.dialect or ""
        return {
            "backend": "remote",
            "dialect": dialect,
            "engine": self.model.facts.server,
        }

    def chat(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        *,
        tools: Sequence[ToolLike] = (),
        cancel: CancelToken | None = None,
    ) -> Answer:
        """Answer a conversation through the server's template; raises as `Subject`.

        Raises:
            RemoteError: the server refuses, fails or cannot be reached.
        """
        given = self.model.speaks.chat(
            [_as_dict(message) for message in messages],
            options_of(params),
            tools=[tool.as_dict() for tool in as_tools(tools)],
            cancel=cancel,
        )
        return _as_answer(given)

    def complete(
        self,
        prompt: str,
        params: SamplingParams,
        *,
        cancel: CancelToken | None = None,
    ) -> Answer:
        """Continue raw text, without a template; raises as `chat`."""
        options = options_of(params)
        return _as_answer(self.model.speaks.complete(prompt, options, cancel=cancel))

    def choose(
        self, task: Task, sample: Sample, *, cancel: CancelToken | None = None
    ) -> ItemScore:
        """Return the log-likelihoods of a sample's choices, from echoed prompts.

        The token rule is that of `scorers.choices`. The first call finds out whether
        the server's echo can be believed (`remote.echo`).

        Raises:
            Unsupported: it cannot.
        """
        if self._why_no_echo is None:
            self._why_no_echo = echo.why_not(self.model.speaks, cancel=cancel)
        if self._why_no_echo:
            msg = f"{self.label} gives no log-probabilities of a prompt"
            raise Unsupported(
                f"{msg}: {self._why_no_echo}",
                hint="run the model here, or behind a server that echoes prompts: vLLM",
            )
        asked = text_of(task, sample)
        context = asked.rstrip()
        moved = asked[len(context) :]
        unscored = _Unscored(sample)
        if not context:
            return unscored("a server says nothing of choices after an empty prompt")
        speaks = self.model.speaks
        head = speaks.echo(context, cancel=cancel)
        texts = [context + moved + task.joiner + choice for choice in sample.choices]
        whole = [speaks.echo(text, cancel=cancel) for text in texts]
        echoed = [one for one in whole if one is not None]
        if head is None or len(echoed) < len(whole):
            return unscored("the server's tokens do not spell this text")
        tails = [one[len(head) :] for one in echoed]
        if not all(tails):
            return unscored("a choice has no tokens")
        values = [[one.logprob for one in tail] for tail in tails]
        if not all(v is not None and math.isfinite(v) for row in values for v in row):
            return unscored("a log-probability is not finite")
        common = _common_prefix(tails)
        choices = tuple(
            ChoiceScore(
                logprob=math.fsum(v for v in row if v is not None),
                logprob_apart=math.fsum(v for v in row[common:] if v is not None),
                n_tokens=len(row),
                n_tokens_apart=len(row) - common,
                n_chars=len(choice),
                n_bytes=len(choice.encode()),
            )
            for choice, row in zip(sample.choices, values, strict=True)
        )
        return ItemScore(id=sample.id, gold=sample.gold, choices=choices)

    def embed(
        self, texts: Sequence[str], *, cancel: CancelToken | None = None
    ) -> NDArray[np.float32]:
        """Return one unit vector a text, shape (n_texts, n_embd).

        Raises:
            Unsupported: the server embeds nothing.
        """
        rows: list[list[float]] = []
        for start in range(0, len(texts), _PORTION):
            try:
                portion = list(texts[start : start + _PORTION])
                rows += self.model.speaks.embed(portion, cancel=cancel)
            except RemoteError as error:
                if error.status not in {400, 404, 405, 501}:
                    raise
                msg = f"{self.label} embeds nothing: {error}"
                raise Unsupported(msg, hint="take an embedding model") from error
        if len({len(row) for row in rows}) > 1:
            msg = f"{self.label} gives vectors of different lengths"
            raise RemoteError(msg, hint="the server is broken")
        vectors = np.array(rows, np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
        return np.asarray(unit, np.float32)

    def close(self) -> None:
        """Close its connections."""
        self.model.close()


def open_remote(
    text: str, *, label: str = "", cancel: CancelToken | None = None
) -> RemoteSubject:
    """Return the model at ``MODEL@URL``, once the server has said that it is there.

    Raises:
        UsageError: it is no such address.
        RemoteError: nobody is there, or there is no such model.
    """
    return RemoteSubject(open_model(text, cancel=cancel), label=label)


def options_of(params: SamplingParams) -> RemoteOptions:
    """Return sampling params as a server takes them.

    Raises:
        Unsupported: one of them cannot be said to a server.
    """
    for name in _LOCAL_ONLY:
        value = getattr(params, name)
        if value != getattr(_PLAIN, name):
            msg = f"{name}={value!r} cannot be asked of a model behind a URL"
            raise Unsupported(msg, hint="leave it out, or run the model here")
    schema: Mapping[str, Any] | None = None
    if params.structure is not None:
        kind = params.structure.kind
        if kind not in {"json", "json_schema"}:
            msg = f"a structure of kind {kind} cannot be asked of a model behind a URL"
            raise Unsupported(msg, hint="use a JSON Schema, or run the model here")
        schema = {} if kind == "json" else json.loads(params.structure.text)
    return RemoteOptions(
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        min_p=params.min_p,
        repeat_penalty=params.repeat_penalty,
        frequency_penalty=params.frequency_penalty,
        presence_penalty=params.presence_penalty,
        seed=params.seed,
        max_tokens=params.max_tokens,
        stop=params.stop,
        json_schema=schema,
        top_logprobs=params.top_logprobs,
    )


class _Unscored:
    """Makes the score of a sample that has none."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    def __call__(self, why: str) -> ItemScore:
        return ItemScore(id=self._sample.id, gold=self._sample.gold, unscored=why)


def _as_dict(message: Message) -> dict[str, Any]:
    """Return a message as the OpenAI API has it."""
    if message.images:
        msg = "an image cannot be shown to a model behind a URL yet"
        raise Unsupported(msg, hint="run the model here")
    given: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.thinking:
        given["reasoning_content"] = message.thinking
    if message.tool_calls:
        given["tool_calls"] = [call.as_dict() for call in message.tool_calls]
    if message.role == "tool":
        given |= {"tool_call_id": message.tool_call_id, "name": message.name}
    return given


def _as_answer(given: RemoteAnswer) -> Answer:
    notes = list(given.notes)
    calls = []
    for call in given.tool_calls:
        try:
            calls.append(as_tool_call(call))
        except UsageError as error:
            notes.append(f"a tool call was left out: {error}")
    return Answer(
        text=given.text,
        finish_reason=given.finish_reason,
        tool_calls=tuple(calls),
        thinking=given.thinking,
        n_prompt=given.n_prompt,
        n_generated=given.n_generated,
        ttft_s=given.ttft_s,
        total_s=given.total_s,
        notes=tuple(notes),
    )


def _common_prefix(tails: Sequence[Sequence[Echoed]]) -> int:
    """Return how many first tokens all choices share, leaving each at least one."""
    shared = 0
    for tokens in zip(*(tail[:-1] for tail in tails), strict=False):
        if len({one.text for one in tokens}) > 1:
            break
        shared += 1
    return shared
