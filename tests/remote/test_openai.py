"""OpenAI's dialect against a loopback server, with its faults."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from localkit.config import settings
from localkit.errors import Cancelled, ContextTooLong, RemoteError
from localkit.events import CancelToken
from localkit.io.http.pace import Pace
from localkit.remote.model import RemoteModel, open_model
from localkit.remote.values import RemoteAnswer, RemoteOptions
from tests.remote.server import (
    Asked,
    Reply,
    Rule,
    Server,
    chat_events,
    openai_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = Pace(n_tries=3, shortest_s=0.01, longest_s=0.02, longest_asked_s=1)
HELLO = [{"role": "user", "content": "hello"}]
GREEDY = RemoteOptions(temperature=0.0, max_tokens=8, seed=3, top_k=40, top_p=0.9)


@pytest.fixture
def server() -> Iterator[Server]:
    with openai_server() as server:
        yield server


def opened(server: Server, **options: Any) -> RemoteModel:
    return open_model(f"m@openai+{server.url}/v1", pace=QUICK, **options)


def ask(server: Server, rule: Rule | None = None, **options: Any) -> RemoteAnswer:
    if rule is not None:
        server.rules["/v1/chat/completions"] = rule
    with opened(server) as model:
        return model.speaks.chat(HELLO, GREEDY, **options)


def test_an_answer_is_streamed_and_its_moments_are_kept(server: Server) -> None:
    def slowly(_: Asked) -> Reply:
        def events() -> Iterator[Any]:
            for event in chat_events("one", " two", " three"):
                time.sleep(0.02)
                yield event

        return Reply(events=events())

    answer = ask(server, slowly)
    assert (answer.text, answer.finish_reason) == ("one two three", "stop")
    assert (answer.n_prompt, answer.n_generated) == (7, 3)
    assert 0.03 < answer.ttft_s < answer.total_s
    assert len(answer.gaps_s) == 2
    assert all(gap > 0.01 for gap in answer.gaps_s)
    assert answer.notes == ()
    sent = server.bodies("/v1/chat/completions")[0]
    assert sent["stream_options"] == {"include_usage": True}
    assert (sent["temperature"], sent["max_tokens"], sent["seed"]) == (0.0, 8, 3)
    # Servers refuse what they do not know: nothing of ours is sent.
    assert "top_k" not in sent


def test_an_option_that_the_api_lacks_is_noted(server: Server) -> None:
    options = RemoteOptions(temperature=0.8, top_k=40, min_p=0.05, repeat_penalty=1.0)
    with opened(server) as model:
        notes = model.speaks.chat(HELLO, options).notes
    assert [note.split(" ")[0] for note in notes] == ["top_k=40", "min_p=0.05"]


def test_tool_calls_and_thinking_are_put_together(server: Server) -> None:
    def piece(**call: Any) -> dict[str, Any]:
        return {"choices": [{"delta": {"tool_calls": [call]}}]}

    events = [
        {"choices": [{"delta": {"reasoning_content": "hm"}}]},
        piece(index=0, id="a", function={"name": "add", "arguments": '{"x"'}),
        piece(index=1, id="b", function={"name": "sub", "arguments": "{}"}),
        piece(index=0, function={"arguments": ": 1}"}),
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
        "[DONE]",
    ]
    tools = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
    answer = ask(server, Reply(events=events), tools=tools)
    assert answer.thinking == "hm"
    assert answer.finish_reason == "tool_calls"
    calls = [call["function"] for call in answer.tool_calls]
    assert calls[0] == {"name": "add", "arguments": '{"x": 1}'}
    assert calls[1]["name"] == "sub"
    assert server.bodies("/v1/chat/completions")[0]["tools"] == tools


def test_a_schema_and_logprobs_are_asked_for(server: Server) -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.5, "bytes": [97]}]}
    choice = {"delta": {"content": "a"}, "logprobs": logprobs, "finish_reason": "stop"}
    server.rules["/v1/chat/completions"] = Reply(events=[{"choices": [choice]}])
    options = RemoteOptions(json_schema={"type": "object"}, top_logprobs=2)
    with opened(server) as model:
        answer = model.speaks.chat(HELLO, options)
    assert answer.logprobs == (("a", -0.5),)
    sent = server.bodies("/v1/chat/completions")[0]
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 2)


def test_vectors_are_put_in_order(server: Server) -> None:
    data = [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}]
    server.rules["/v1/embeddings"] = Reply({"data": data})
    with opened(server) as model:
        assert model.speaks.embed(["a", "b"]) == [[1, 0], [0, 1]]
        with pytest.raises(RemoteError, match="2 vectors for 3"):
            model.speaks.embed(["a", "b", "c"])


def test_E8_a_busy_server_is_asked_again_and_each_time_is_noted(server: Server) -> None:
    replies = iter(
        [
            Reply({"error": {"message": "slow down"}}, 429, {"retry-after": "0"}),
            Reply({"error": "loading"}, 503),
            Reply(events=chat_events("hi")),
        ]
    )
    answer = ask(server, lambda _: next(replies))
    assert answer.text == "hi"
    assert len(answer.notes) == 2
    assert "429" in answer.notes[0]
    assert "slow down" in answer.notes[0]


@pytest.mark.parametrize(
    ("reply", "n_asked", "words"),
    [
        (Reply({"error": {"message": "full"}}, 503), 3, "503 when answering: full"),
        (Reply({"error": "x"}, 429, {"retry-after": "3600"}), 1, "429"),
        (Reply({"error": "x"}, 500), 1, "says 500"),
        (Reply({"error": {"message": "no key"}}, 401), 1, "401 when answering: no key"),
        (Reply(raw=b"<html>", status=404), 1, "404"),
        (
            Reply(status=307, headers={"location": "http://127.0.0.1:1/"}),
            1,
            "redirects",
        ),
        (Reply(raw=b"data: {\n"), 1, "no JSON"),
        (Reply(raw=b"data: " + b"[" * 100_000 + b"\n"), 1, "no JSON"),
        (Reply(raw=b'data: {"choices": 3}\n'), 1, "not OpenAI's form"),
        (
            Reply(raw=b'data: {"error": {"message": "out of memory"}}\n'),
            1,
            "out of mem",
        ),
        (Reply(raw=b""), 1, "in the middle"),
        (Reply(events=chat_events("half")[:2]), 1, "in the middle"),
    ],
)
def test_E8_what_goes_wrong_is_said_with_the_servers_words(
    server: Server, reply: Reply, n_asked: int, words: str
) -> None:
    with pytest.raises(RemoteError) as caught:
        ask(server, reply)
    assert words in str(caught.value)
    assert len(server.bodies("/v1/chat/completions")) == n_asked


def test_a_prompt_that_is_too_long_says_both_numbers(server: Server) -> None:
    for message in (
        "This model's maximum context length is 512 tokens. However, you requested "
        "900 tokens",
        "request (900 tokens) exceeds the available context size (512 tokens)",
    ):
        with pytest.raises(ContextTooLong) as caught:
            ask(server, Reply({"error": {"message": message}}, 400))
        assert (caught.value.n_tokens, caught.value.n_ctx) == (900, 512)


def test_E8_an_answer_without_an_end_is_cut(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localkit.remote.wire.MAX_LINE", 1 << 16)

    def endless(_: Asked) -> Reply:
        return Reply(events=(b"x" * 4096 for _ in range(1 << 20)))

    with pytest.raises(RemoteError, match="without an end"):
        ask(server, endless)


def test_E8_a_server_that_stalls_is_left_in_time(server: Server) -> None:
    def stall(_: Asked) -> Reply:
        server.gone.wait(10)
        return Reply()

    server.rules["/v1/chat/completions"] = stall
    with (
        opened(server, timeout_s=0.3) as model,
        pytest.raises(RemoteError, match=r"longer than|stopped answering"),
    ):
        model.speaks.chat(HELLO, GREEDY)
    cancel = CancelToken()
    threading.Timer(0.2, cancel.cancel).start()
    with opened(server) as model, pytest.raises(Cancelled):
        model.speaks.chat(HELLO, GREEDY, cancel=cancel)


def test_L1_the_key_is_sent_as_a_header_and_shown_nowhere(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALKIT_API_KEY", "hunter2")
    settings.cache_clear()
    with opened(server) as model:
        answer = model.speaks.chat(HELLO, GREEDY)
        assert server.asked[-1].headers["Authorization"] == "Bearer hunter2"
        speaks: Any = model.speaks
        shown = [repr(model), repr(answer), repr(vars(model)), repr(vars(speaks))]
        shown += [model.digest, repr(vars(speaks._wire)), str(model.facts)]
        server.rules["/v1/chat/completions"] = Reply({"error": "no"}, 403)
        with pytest.raises(RemoteError) as caught:
            model.speaks.chat(HELLO, GREEDY)
        shown += [str(caught.value), caught.value.hint, repr(caught.value.__dict__)]
    assert "hunter2" not in " ".join(shown)


def test_the_model_has_to_be_there(server: Server) -> None:
    with pytest.raises(RemoteError, match="no model 'nope'") as caught:
        open_model(f"nope@{server.url}/v1")
    assert caught.value.hint == "it has m"
    server.rules["/v1/models"] = Reply({"error": "x"}, 404)
    with opened(server) as model:  # a server without a list is believed
        assert model.facts.model == {}


def test_what_the_server_speaks_is_found_out(server: Server) -> None:
    with open_model(f"m@{server.url}") as model:
        assert model.address.dialect == "openai"
    assert [one.path for one in server.asked] == [
        "/api/version",
        "/v1/models",
        "/v1/models",
    ]
    server.rules = {}
    with pytest.raises(RemoteError, match="neither"):
        open_model(f"m@{server.url}")


def test_nobody_there_is_told_at_once() -> None:
    with Server() as server:
        url = server.url
    with pytest.raises(RemoteError, match="cannot reach") as caught:
        open_model(f"m@{url}")
    assert caught.value.hint == "is the server running there?"


def test_E3_another_model_under_the_same_name_has_another_digest(
    server: Server,
) -> None:
    def listed(**meta: int) -> Reply:
        # What changes with every request is no part of it.
        entry = {"id": "m", "created": time.time_ns(), "meta": meta}
        return Reply({"data": [entry]})

    digests = []
    for meta in ({"n_params": 1}, {"n_params": 1}, {"n_params": 2}):
        server.rules["/v1/models"] = listed(**meta)
        with opened(server) as model:
            digests.append(model.digest)
    assert digests[0] == digests[1] != digests[2]
    assert json.dumps(digests[0]).startswith('"sha256:')
