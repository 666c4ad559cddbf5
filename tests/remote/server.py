"""A loopback server that answers as a test says, and writes down what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Body = dict[str, Any]


@dataclass
class Reply:
    """What a request gets: JSON, bytes as they are, or events one after the other."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    events: Iterable[Any] | None = None
    """JSON values of a stream; texts and bytes are sent as they are."""
    form: str = "sse"


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Body


Rule = Reply | Callable[[Asked], Reply]


class Server:
    """Answers by path; use it as a context."""

    def __init__(self, **rules: Rule) -> None:
        self.rules: dict[str, Rule] = dict(rules)
        self.asked: list[Asked] = []
        self.gone = threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gone.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def bodies(self, path: str) -> list[Body]:
        return [one.body for one in self.asked if one.path == path]


class _Handler(BaseHTTPRequestHandler):
    owner: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        asked = Asked(method, self.path, {**self.headers}, body)
        self.owner.asked.append(asked)
        rule = self.owner.rules.get(self.path, Reply({"error": "no"}, status=404))
        reply = rule if isinstance(rule, Reply) else rule(asked)
        with suppress(BrokenPipeError, ConnectionResetError):
            self._send(reply)
        self.close_connection = True

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.events is None:
            body = json.dumps(reply.body).encode() if reply.raw is None else reply.raw
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_header("connection", "close")
        self.end_headers()
        for event in reply.events:
            self.wfile.write(_event(event, reply.form))
            self.wfile.flush()


def _event(event: Any, form: str) -> bytes:
    if isinstance(event, bytes):
        return event
    text = event if isinstance(event, str) else json.dumps(event)
    return f"data: {text}\n\n".encode() if form == "sse" else f"{text}\n".encode()


def chat_events(
    *texts: str, finish: str | None = "stop", n_prompt: int = 7
) -> list[Any]:
    """Return what an OpenAI-like server streams for an answer in these pieces."""
    usage = {"prompt_tokens": n_prompt, "completion_tokens": len(texts)}
    return [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]},
        *({"choices": [{"delta": {"content": text}}]} for text in texts),
        {"choices": [{"delta": {}, "finish_reason": finish}]},
        {"choices": [], "usage": usage},
        "[DONE]",
    ]


MODELS = Reply(
    {"object": "list", "data": [{"id": "m", "object": "model", "created": 1}]}
)
TAGS = Reply(
    {
        "models": [
            {"name": "m:latest", "digest": "ab" * 32},
            {"name": "n:1b", "digest": "cd" * 32},
        ]
    }
)


def openai_server(**rules: Rule) -> Server:
    """Return a server that lists the model ``m`` and answers chats with 'one two'."""
    server = Server()
    server.rules |= {
        "/v1/models": MODELS,
        "/v1/chat/completions": Reply(events=chat_events("one", " two")),
    }
    server.rules |= {f"/v1/{path}": rule for path, rule in rules.items()}
    return server


def ollama_server(**rules: Rule) -> Server:
    """Return a server that speaks Ollama and has the models ``m`` and ``n:1b``."""
    server = Server()
    chunks = [
        {"message": {"role": "assistant", "content": "one"}, "done": False},
        {"message": {"role": "assistant", "content": " two"}, "done": False},
        {
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 7,
            "eval_count": 2,
        },
    ]
    server.rules |= {
        "/api/version": Reply({"version": "0.33.0"}),
        "/api/tags": TAGS,
        "/api/chat": Reply(events=chunks, form="lines"),
    }
    server.rules |= {f"/api/{path}": rule for path, rule in rules.items()}
    return server
