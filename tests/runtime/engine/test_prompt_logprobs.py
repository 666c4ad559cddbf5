"""How likely a prompt is, told with its answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from localkit.errors import UsageError
from localkit.gguf import read_info
from localkit.runtime.engine import context as contexts
from localkit.runtime.isolation.isolated import IsolatedRuntime
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams, SamplingParams, ServeParams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.runtime.protocol import Generation, Session
    from localkit.runtime.session import LlamaSession

GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 6}
TEXT = "the hello thin and there, 0123 & in her then; "


def say(
    session: Session,
    prompt: Sequence[int],
    *,
    serve: ServeParams | None = None,
    **more: Any,
) -> Generation:
    params = SamplingParams(**{**GREEDY, **more})
    return session.stream(prompt, params, serve=serve or ServeParams()).wait()


def expected(session: Session, prompt: Sequence[int]) -> np.ndarray:
    """Return the log-softmax of the logits before each token but the first."""
    rows = np.concatenate(list(session.logits(prompt)))[:-1].astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
    return rows


@pytest.mark.parametrize("n_tokens", [1, 2, 65, 400])
def test_they_are_the_log_softmax_of_the_models_own_logits(
    tiny: LlamaSession, n_tokens: int
) -> None:
    prompt = tiny.tokenize(TEXT * 40)[:n_tokens]
    rows = expected(tiny, prompt)
    found = say(tiny, prompt, prompt_logprobs=3).prompt_logprobs
    assert [one.token for one in found] == prompt[1:]
    for one, row in zip(found, rows, strict=True):
        assert one.logprob == pytest.approx(row[one.token], abs=5e-3)
        best = sorted(row, reverse=True)[:3]
        assert [logprob for _, logprob in one.top] == pytest.approx(best, abs=5e-3)


def test_the_answer_is_the_same_with_and_without(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize(TEXT * 8)
    plain = say(tiny, prompt, top_logprobs=0)
    told = say(tiny, prompt, top_logprobs=0, prompt_logprobs=0)
    assert told.tokens == plain.tokens
    assert plain.prompt_logprobs == ()
    assert all(one.top == () for one in told.prompt_logprobs)


def test_a_cached_prompt_is_computed_again_and_says_so(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize(TEXT * 8)
    say(tiny, prompt)
    assert say(tiny, prompt).usage.n_reused > 0
    told = say(tiny, prompt, prompt_logprobs=0)
    assert told.usage.n_reused == 0
    assert len(told.prompt_logprobs) == len(prompt) - 1


@pytest.mark.parametrize(
    "serve",
    [ServeParams(exact=True), ServeParams(speculate="prompt-lookup")],
    ids=["exact", "speculating"],
)
def test_however_it_is_served(tiny: LlamaSession, serve: ServeParams) -> None:
    prompt = tiny.tokenize(TEXT * 8)
    rows = expected(tiny, prompt)
    plain = say(tiny, prompt, serve=serve)
    told = say(tiny, prompt, serve=serve, prompt_logprobs=0)
    assert told.tokens == plain.tokens
    for one, row in zip(told.prompt_logprobs, rows, strict=True):
        assert one.logprob == pytest.approx(row[one.token], abs=5e-3)


def test_a_context_that_shifts_keeps_them(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize(TEXT * 60)[: tiny.n_ctx - 4]
    rows = expected(tiny, prompt)
    serve = ServeParams(context_shift=True)
    told = say(tiny, prompt, serve=serve, prompt_logprobs=0, max_tokens=12)
    assert [one.token for one in told.prompt_logprobs] == prompt[1:]
    for one, row in zip(told.prompt_logprobs, rows, strict=True):
        assert one.logprob == pytest.approx(row[one.token], abs=5e-3)


def test_few_outputs_at_once_and_many_requests_side_by_side(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with a vocabulary of a million tokens: 64 rows of logits a decode.
    monkeypatch.setattr(contexts, "_OUTPUT_BYTES", 1)
    session = LlamaRuntime().load(
        read_info(tiny_gguf), LoadParams(n_ctx=2048, n_threads=1, n_seq_max=8)
    )
    prompts = [session.tokenize(f"{n} {TEXT * 6}") for n in range(6)]
    rows = [expected(session, prompt) for prompt in prompts]
    with ThreadPoolExecutor(len(prompts)) as pool:
        told = list(pool.map(lambda one: say(session, one, prompt_logprobs=1), prompts))
    session.close()
    for prompt, table, generation in zip(prompts, rows, told, strict=True):
        assert [one.token for one in generation.prompt_logprobs] == prompt[1:]
        for one, row in zip(generation.prompt_logprobs, table, strict=True):
            assert one.logprob == pytest.approx(row[one.token], abs=2e-2)


@pytest.mark.parametrize("n_top", [-1, 101])
def test_a_number_out_of_range_is_refused(tiny: LlamaSession, n_top: int) -> None:
    with pytest.raises(UsageError, match=f"prompt_logprobs is {n_top}"):
        say(tiny, [5, 6], prompt_logprobs=n_top)


def test_a_worker_gives_the_same(tiny: LlamaSession, tiny_gguf: Path) -> None:
    prompt = tiny.tokenize(TEXT)
    params = LoadParams(n_ctx=512, n_threads=1)
    isolated = IsolatedRuntime().load(read_info(tiny_gguf), params)
    theirs = say(isolated, prompt, prompt_logprobs=2)
    isolated.close()
    assert (
        theirs.prompt_logprobs == say(tiny, prompt, prompt_logprobs=2).prompt_logprobs
    )
