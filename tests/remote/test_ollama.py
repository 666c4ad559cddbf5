"""Ollama's dialect against a loopback server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import RemoteError
from localkit.remote.model import open_model
from localkit.remote.values import RemoteOptions
from tests.remote.server import Reply, Server, ollama_server

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
def server() -> Iterator[Server]:
    with ollama_server() as server:
        yield server


def test_an_answer_and_what_was_asked_for_it(server: Server) -> None:
    options = RemoteOptions(
        temperature=0.0, top_k=40, max_tokens=8, stop=("\n",), json_schema={}
    )
    with open_model(f"m@{server.url}") as model:
        answer = model.speaks.chat(HELLO, options)
    assert (answer.text, answer.finish_reason) == ("one two", "stop")
    assert (answer.n_prompt, answer.n_generated, answer.notes) == (7, 2, ())
    assert len(answer.gaps_s) == 1
    sent = server.bodies("/api/chat")[0]
    assert sent["options"] == {
        "temperature": 0.0,
        "top_k": 40,
        "num_predict": 8,
        "stop": ["\n"],
    }
    assert sent["format"] == "json"
    # Ollama drops messages in silence unless it is told not to.
    assert (sent["truncate"], sent["shift"]) == (False, False)


def test_the_digest_is_the_manifests(server: Server) -> None:
    with open_model(f"m@{server.url}") as model:
        assert model.facts.server == "Ollama 0.33.0"
        assert model.facts.model == {"digest": "ab" * 32}
    with open_model(f"n:1b@{server.url}") as model:
        assert model.facts.model == {"digest": "cd" * 32}
    with pytest.raises(RemoteError, match="no model 'n'") as caught:
        open_model(f"n@{server.url}")
    assert caught.value.hint == "it has m:latest, n:1b"


def test_tool_calls_are_the_same_as_everywhere(server: Server) -> None:
    call = {"function": {"name": "add", "arguments": {"x": 1}}}
    server.rules["/api/chat"] = Reply(
        events=[{"message": {"content": "", "tool_calls": [call]}}, {"done": True}],
        form="lines",
    )
    history: list[dict[str, Any]] = [
        *HELLO,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "add", "arguments": '{"x": 2}'}}],
        },
        {"role": "tool", "content": "2", "name": "add", "tool_call_id": "a"},
    ]
    with open_model(f"m@{server.url}") as model:
        answer = model.speaks.chat(history, RemoteOptions())
    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls[0]["function"] == {"name": "add", "arguments": '{"x": 1}'}
    sent = server.bodies("/api/chat")[0]["messages"]
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == {"x": 2}
    assert sent[2]["tool_name"] == "add"


def test_raw_text_vectors_and_no_echo(server: Server) -> None:
    server.rules["/api/generate"] = Reply(
        events=[{"response": "hi"}, {"done": True, "done_reason": "length"}],
        form="lines",
    )
    server.rules["/api/embed"] = Reply({"embeddings": [[3, 4]]})
    with open_model(f"m@{server.url}") as model:
        answer = model.speaks.complete("Once", RemoteOptions())
        assert (answer.text, answer.finish_reason) == ("hi", "length")
        assert server.bodies("/api/generate")[0]["raw"] is True
        assert model.speaks.embed(["a"]) == [[3, 4]]
        assert server.bodies("/api/embed")[0]["truncate"] is False
        assert model.speaks.echo("a") is None


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([{"error": "model runner has unexpectedly stopped"}], "unexpectedly"),
        ([{"message": {"content": "half"}}], "in the middle"),
        (["[1, 2]"], "not Ollama's form"),
        (["{"], "no JSON"),
    ],
)
def test_E8_what_goes_wrong_is_said(
    server: Server, events: list[Any], words: str
) -> None:
    server.rules["/api/chat"] = Reply(events=events, form="lines")
    with (
        open_model(f"m@{server.url}") as model,
        pytest.raises(RemoteError, match=words),
    ):
        model.speaks.chat(HELLO, RemoteOptions())
