"""What every `Session` promises, held against the fake and against llama.cpp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import ContextTooLong, SessionClosed
from localkit.events import CancelToken
from localkit.gguf import read_info
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.isolation.isolated import IsolatedRuntime
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams, SamplingParams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.runtime.protocol import Session


@pytest.fixture(
    params=[FakeRuntime, LlamaRuntime, IsolatedRuntime],
    ids=["fake", "llama", "isolated"],
)
def session(request: pytest.FixtureRequest, tiny_gguf: Path) -> Iterator[Session]:
    runtime = request.param()
    loaded = runtime.load(read_info(tiny_gguf), LoadParams(n_ctx=256, n_threads=1))
    yield loaded
    loaded.close()


def test_plain_text_survives_the_round_trip(session: Session) -> None:
    tokens = session.tokenize("a plain text", add_special=False)
    assert session.detokenize(tokens) == "a plain text"


def test_control_texts_are_parsed_only_when_asked(session: Session) -> None:
    text, token = next(iter(session.control_tokens.items()))
    assert token not in session.tokenize(text, add_special=False)
    assert session.tokenize(text, add_special=False, parse_special=True) == [token]
    assert session.detokenize([token]) == ""
    assert session.detokenize([token], special=True) == text


def test_a_stream_adds_up_to_its_generation(session: Session) -> None:
    stream = session.stream(
        session.tokenize("hello"), SamplingParams(temperature=0, max_tokens=8)
    )
    pieces = list(stream)
    generation = stream.generation
    assert "".join(piece.text for piece in pieces) == generation.text
    assert generation.usage.n_generated == len(generation.tokens) <= 8
    assert generation.finish_reason in ("stop", "length")


def test_a_raised_cancel_ends_a_stream_as_interrupted(session: Session) -> None:
    cancel = CancelToken()
    cancel.cancel()
    stream = session.stream(session.tokenize("hi"), SamplingParams(), cancel=cancel)
    assert list(stream) == []
    assert stream.generation.finish_reason == "interrupted"


def test_scores_follow_from_logits(session: Session) -> None:
    prompt = session.tokenize("hello")
    ending = session.tokenize("you", add_special=False)
    rows = np.concatenate(
        list(session.logits(prompt + ending, first=len(prompt) - 1))
    ).astype(np.float64)[:-1]
    rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
    expected = rows[np.arange(len(ending)), ending]
    scored = session.score(prompt, [ending])[0].logprobs
    np.testing.assert_allclose(scored, expected, atol=2e-3)


def test_what_does_not_fit_the_context_is_refused(session: Session) -> None:
    with pytest.raises(ContextTooLong):
        session.stream([5] * 256, SamplingParams())
    with pytest.raises(ContextTooLong):
        list(session.logits([5] * 257))
    with pytest.raises(ContextTooLong):
        session.score([5] * 256, [[5, 5]])


def test_a_closed_session_says_so(session: Session) -> None:
    session.close()
    session.close()
    with pytest.raises(SessionClosed, match="was unloaded"):
        session.tokenize("hello")
    with pytest.raises(SessionClosed):
        session.stream([5], SamplingParams())


def test_prompt_logprobs_follow_from_logits(session: Session) -> None:
    prompt = session.tokenize("hello you")
    rows = np.concatenate(list(session.logits(prompt)))[:-1].astype(np.float64)
    rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
    params = SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=1)
    told = session.stream(prompt, params).wait().prompt_logprobs
    assert [one.token for one in told] == prompt[1:]
    for one, row in zip(told, rows, strict=True):
        assert one.logprob == pytest.approx(row[one.token], abs=2e-3)
        ((likeliest, logprob),) = one.top
        assert likeliest == row.argmax()
        assert logprob == pytest.approx(row.max(), abs=2e-3)
