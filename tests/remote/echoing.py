"""A server that echoes prompts with what a real, tiny model makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from localkit.runtime.params import SamplingParams, ServeParams
from tests.remote.server import Asked, Reply, Rule

if TYPE_CHECKING:
    from localkit.runtime.protocol import Session

SEED = 2
"""Of a tiny model whose likeliest tokens after the probes of `remote.echo` are text."""

Fault = Literal["", "ignores echo", "off by one", "nothing", "counts a BOS"]


def completions(session: Session, fault: Fault = "") -> Rule:
    """Return how such a server answers ``/v1/completions``.

    ``ignores echo`` is llama-server's way. llama_cpp.server 0.3.36 is off by one to the
    other side (design/016), which a model of random weights would hardly show.
    """

    def score(tokens: list[int]) -> list[float | None]:
        serve = ServeParams(exact=True)
        [scored] = session.score(tokens[:1], [tokens[1:]], serve=serve)
        return [None, *map(float, scored.logprobs)]

    def generate(tokens: list[int], n: int) -> tuple[list[int], list[float]]:
        params = SamplingParams(temperature=0, max_tokens=n, top_logprobs=0)
        made = session.stream(tokens, params).wait()
        return list(made.tokens), [one.logprob for one in made.logprobs]

    def rule(asked: Asked) -> Reply:
        body = asked.body
        tokens = session.tokenize(body["prompt"])
        new, values = generate(tokens, body.get("max_tokens", 8))
        spelled = [session.detokenize([token], special=True) for token in tokens]
        words = [session.detokenize([token], special=True) for token in new]
        usage = {"prompt_tokens": len(tokens), "completion_tokens": len(new)}
        text = "".join(words)
        logprobs: Any = {"tokens": words, "token_logprobs": values}
        if body.get("echo") and fault != "ignores echo":
            scored = score(tokens)
            if fault == "off by one":
                scored = [None, 0.0, *scored[1:-1]]
            if fault == "counts a BOS":
                usage["prompt_tokens"] += 1
            text = body["prompt"] + text
            logprobs["tokens"] = spelled + words
            logprobs["token_logprobs"] = scored + values
        if fault == "nothing":
            logprobs = None
        choice = {"text": text, "logprobs": logprobs, "finish_reason": "length"}
        whole = {"choices": [choice], "usage": usage}
        if body.get("stream"):
            return Reply(events=[whole, "[DONE]"])
        return Reply(whole)

    return rule
