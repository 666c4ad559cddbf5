"""A model behind a URL as a subject: what it gives, and what it cannot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.chat.messages import Message
from localkit.errors import RemoteError, Unsupported, UsageError
from localkit.evals.scorers.choices import score_item
from localkit.evals.scorers.judge import Judge
from localkit.evals.scorers.protocol import Answer, Surroundings
from localkit.evals.subjects.remote import RemoteSubject, open_remote, options_of
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Task
from localkit.events import CancelToken
from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams, SamplingParams, Structure
from tests.fixtures.gguf import write_tiny_llama
from tests.remote.echoing import SEED, completions
from tests.remote.server import Reply, Server, chat_events, ollama_server, openai_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GREEDY = SamplingParams(temperature=0, max_tokens=8, seed=3)
HELLO = [Message("user", "hello")]


@pytest.fixture
def server() -> Iterator[Server]:
    with openai_server() as server:
        yield server


@pytest.fixture
def subject(server: Server) -> Iterator[RemoteSubject]:
    subject = open_remote(f"m@{server.url}/v1")
    yield subject
    subject.close()


def test_an_answer_comes_with_its_figures(subject: RemoteSubject) -> None:
    answer = subject.chat(HELLO, GREEDY)
    assert (answer.text, answer.finish_reason) == ("one two", "stop")
    assert (answer.n_prompt, answer.n_generated) == (7, 2)
    assert 0 < answer.ttft_s <= answer.total_s
    assert subject.label.startswith("m@openai+http://127.0.0.1:")
    assert subject.digest.startswith("sha256:")
    assert subject.environment["backend"] == "remote"


def test_both_dialects_are_the_same_subject() -> None:
    with ollama_server() as server:
        subject = open_remote(f"m@{server.url}", label="there")
        answer = subject.chat(HELLO, GREEDY)
        assert (answer.text, answer.n_generated) == ("one two", 2)
        assert subject.label == "there"
        assert subject.environment["engine"] == "Ollama 0.33.0"
        task = Task("t", (Sample(id="0", prompt="q", choices=("a", "b"), gold=0),))
        with pytest.raises(Unsupported, match="no log-probabilities of a prompt"):
            subject.choose(task, task.samples[0])
        subject.close()


def test_choices_have_the_log_likelihoods_that_they_have_here(
    server: Server, subject: RemoteSubject, tmp_path: Path
) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", seed=SEED)
    session = LlamaRuntime().load(read_info(path), LoadParams(n_ctx=256))
    server.rules["/v1/completions"] = completions(session)
    samples = (
        Sample(id="0", prompt="A whale is", choices=("a fish", "a mammal"), gold=1),
        Sample(id="1", prompt="two and ", choices=("two", "three", "four"), gold=0),
    )
    task = Task("t", samples)
    try:
        for sample in samples:
            there = subject.choose(task, sample)
            here = score_item(session, task, sample)
            for one, other in zip(there.choices, here.choices, strict=True):
                assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
                assert one.logprob_apart == pytest.approx(other.logprob_apart, abs=1e-3)
                assert (one.n_tokens, one.n_tokens_apart) == (
                    other.n_tokens,
                    other.n_tokens_apart,
                )
        empty = Sample(id="2", prompt=" ", choices=("a", "b"), gold=0)
        assert "empty prompt" in str(subject.choose(task, empty).unscored)
    finally:
        session.close()


def test_E8_a_server_that_ignores_echo_is_unsupported_and_not_a_model_that_guesses(
    server: Server, subject: RemoteSubject, tiny_gguf: Path
) -> None:
    session = LlamaRuntime().load(read_info(tiny_gguf), LoadParams(n_ctx=256))
    server.rules["/v1/completions"] = completions(session, "ignores echo")
    sample = Sample(id="0", prompt="A whale is", choices=("a fish", "a bird"), gold=1)
    try:
        for _ in range(2):
            with pytest.raises(Unsupported, match="does not echo"):
                subject.choose(Task("t", (sample,)), sample)
    finally:
        session.close()
    assert len(server.bodies("/v1/completions")) == 1  # found out once


def test_vectors_have_length_1(server: Server, subject: RemoteSubject) -> None:
    data = [{"index": n, "embedding": [3.0, 4.0]} for n in range(2)]
    server.rules["/v1/embeddings"] = Reply({"data": data})
    vectors = subject.embed(["a", "b"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0.6, 0.8]] * 2, rtol=1e-6)
    server.rules["/v1/embeddings"] = Reply({"error": "no such route"}, 404)
    with pytest.raises(Unsupported, match="embeds nothing"):
        subject.embed(["a"])


def test_what_a_url_cannot_be_asked_is_refused_before_it_is_asked(
    server: Server, subject: RemoteSubject
) -> None:
    n_asked = len(server.asked)
    for params in (
        SamplingParams(mirostat=2),
        SamplingParams(logit_bias=((1, 2.0),)),
        SamplingParams(structure=Structure("regex", "a+")),
    ):
        with pytest.raises(Unsupported):
            subject.chat(HELLO, params)
    assert len(server.asked) == n_asked
    schema = Structure("json_schema", json.dumps({"type": "object"}))
    assert options_of(SamplingParams(structure=schema)).json_schema == {
        "type": "object"
    }
    assert options_of(SamplingParams(structure=Structure("json"))).json_schema == {}


def test_a_broken_tool_call_is_noted(server: Server, subject: RemoteSubject) -> None:
    call = {"index": 0, "id": "a", "function": {"name": "add", "arguments": "{x"}}
    events = [
        {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    ]
    server.rules["/v1/chat/completions"] = Reply(events=events)
    answer = subject.chat(HELLO, GREEDY)
    assert answer.tool_calls == ()
    assert any("a tool call was left out" in note for note in answer.notes)


def test_a_remote_judge_grades_and_one_that_is_down_leaves_it_unscored(
    server: Server, subject: RemoteSubject
) -> None:
    around = Surroundings(open_subject=lambda _: subject, cancel=CancelToken())
    said = '{"reason": "it is", "grade": "right"}'
    server.rules["/v1/chat/completions"] = Reply(events=chat_events(said))
    judge = Judge(subject.label)
    sample = Sample(id="0", prompt="2 + 2?", target=("4",))
    assert judge.score(sample, Answer(text="4"), around).value == 1
    sent = server.bodies("/v1/chat/completions")[0]
    assert sent["response_format"]["type"] == "json_schema"
    server.rules["/v1/chat/completions"] = Reply({"error": "out of memory"}, 500)
    scored = judge.score(sample, Answer(text="4"), around)
    assert scored.value is None
    assert "out of memory" in scored.why


def test_addresses_that_are_none_and_servers_that_are_gone_are_told_apart() -> None:
    with pytest.raises(UsageError):
        open_remote("smollm2")
    with Server() as gone:
        url = gone.url
    with pytest.raises(RemoteError, match="cannot reach"):
        open_remote(f"m@{url}")
