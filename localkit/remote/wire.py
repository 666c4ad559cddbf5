"""Requests to one server: bounded in bytes and time, and asked again aloud."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from localkit.errors import ContextTooLong, RegistryError, RemoteError
from localkit.io.http.client import Http, Reply
from localkit.io.http.failures import MAX_ERROR_BODY, own_words, retry_after_s, shown
from localkit.io.http.pace import Pace, wait
from localkit.io.http.watch import Deadline
from localkit.remote.keys import advice_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.events import CancelToken
    from localkit.remote.address import Address

TIMEOUT_S = 600.0
"""Seconds that an answer may take, to its last byte."""
MAX_ANSWER = 64 << 20
"""Bytes that an answer may have; embeddings of many texts are the largest."""
MAX_LINE = 4 << 20
"""Bytes that one piece of a streamed answer may have."""
PACE = Pace(n_tries=4, shortest_s=0.5)
_TOO_MANY = frozenset({429, 503})
_HINTS = {
    404: "check the model's name, and the path of the URL",
    429: "it gets too many requests: try again later",
    503: "it is busy or loading: try again later",
}
_TOO_LONG = re.compile(
    r"maximum context length is (\d+) tokens.{0,80}?(\d+)"  # vLLM, OpenAI
    # llama.cpp
    r"|request \((\d+) tokens\) exceeds the available context size \((\d+)",
    re.DOTALL,
)


class Wire:
    """One server, as far as bytes go."""

    def __init__(
        self,
        address: Address,
        *,
        key: SecretStr | None = None,
        timeout_s: float = TIMEOUT_S,
        pace: Pace = PACE,
    ) -> None:
        """Connect to nothing yet; ``key`` is shown to that server alone."""
        self.address = address
        self._timeout_s = timeout_s
        self._pace = pace
        self._secrets = {}
        if key is not None:
            bearer = SecretStr(f"Bearer {key.get_secret_value()}")
            self._secrets = {"Authorization": bearer}
        with self._told(""):
            # No connection is used again: one that went stale meanwhile would fail,
            # and a question is not asked twice in silence.
            self._http = Http(address.origin, stall_s=timeout_s)

    def __repr__(self) -> str:
        """Name the server; the key is no part of it."""
        return f"<Wire {self.address.origin}>"

    def close(self) -> None:
        """Close what is open."""
        self._http.close()

    def get(self, path: str, *, doing: str, cancel: CancelToken | None = None) -> Any:
        """Return the JSON at ``path``; raises as `post`."""
        with self._asked("GET", path, None, doing, [], cancel) as reply:
            return self._document(reply)

    def post(
        self,
        path: str,
        body: object,
        *,
        doing: str,
        notes: list[str],
        cancel: CancelToken | None = None,
    ) -> Any:
        """Return the JSON that answers ``body``.

        Args:
            path: From the origin.
            body: JSON to send.
            doing: What is wanted, for messages: ``embedding``.
            notes: Gets a sentence for each time that it is asked again.
            cancel: Raise it to stop.

        Raises:
            RemoteError: the server refuses, fails or cannot be reached.
            ContextTooLong: it says that the prompt is too long.
            Cancelled: ``cancel`` was raised.
        """
        with self._asked("POST", path, body, doing, notes, cancel) as reply:
            return self._document(reply)

    @contextmanager
    def lines(
        self,
        path: str,
        body: object,
        *,
        doing: str,
        notes: list[str],
        cancel: CancelToken | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """Give the lines of a streamed answer as they come; arguments as `post`."""
        with self._asked("POST", path, body, doing, notes, cancel) as reply:
            yield self._lines(reply)

    def parsed(self, text: bytes) -> Any:
        """Return JSON of the server's.

        Raises:
            RemoteError: it is none.
        """
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            start = shown(text[:100].decode(errors="replace"))
            msg = f"{self.address.origin} sends what is no JSON: {start}"
            raise RemoteError(
                msg, hint="check the path of the URL", status=200
            ) from error

    def broken(self, what: str) -> RemoteError:
        """Return the error for an answer that is not as the dialect has it."""
        return RemoteError(
            f"{self.address.origin} sends {what}",
            hint="say what it speaks: MODEL@openai+URL or MODEL@ollama+URL",
        )

    def cut_off(self) -> RemoteError:
        """Return the error for an answer that ends in the middle."""
        return RemoteError(
            f"{self.address.origin} ended its answer in the middle",
            hint="look into the server's log: it may have failed on this prompt",
            retryable=True,
        )

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        body: object,
        doing: str,
        notes: list[str],
        cancel: CancelToken | None,
    ) -> Iterator[Reply]:
        """Give an answer that says yes; one that says 'not now' is asked for again."""
        content = None if body is None else json.dumps(body).encode()
        n_failed = 0
        while True:
            with (
                self._told(doing),
                self._http.open(
                    method,
                    path,
                    headers={"Content-Type": "application/json"},
                    secrets=self._secrets,
                    body=content,
                    deadline=Deadline(self._timeout_s),
                    cancel=cancel,
                ) as reply,
            ):
                if reply.status < 400:
                    yield reply
                    return
                words = reply.start_of_body(MAX_ERROR_BODY)
            error = self._refusal(reply.status, words, doing)
            n_failed += 1
            after_s = retry_after_s(reply.headers.get("retry-after"))
            pause_s = self._pace.pause_s(n_failed) if after_s is None else after_s
            too_long = pause_s > self._pace.longest_asked_s
            if (
                reply.status not in _TOO_MANY
                or n_failed >= self._pace.n_tries
                or too_long
            ):
                raise error
            notes.append(f"asked again after {pause_s:.1f} s: {error}")
            wait(pause_s, cancel)

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """Turn what the room below raises into this one's error."""
        try:
            yield
        except RegistryError as error:
            hint = (
                "is the server running there?" if error.status is None else error.hint
            )
            msg = f"{error} (when {doing})" if doing else str(error)
            raise RemoteError(
                msg, hint=hint, status=error.status, retryable=error.retryable
            ) from error.with_traceback(None)

    def _refusal(
        self, status: int, body: bytes, doing: str
    ) -> RemoteError | ContextTooLong:
        words = _words(body)
        error = body[:MAX_ERROR_BODY].decode(errors="replace")
        if status in {400, 413} and (found := _TOO_LONG.search(error)):
            n_ctx, n_tokens = (found[1], found[2]) if found[1] else (found[4], found[3])
            hint = "serve it with a longer context, or shorten the prompt"
            return ContextTooLong(int(n_tokens), int(n_ctx), hint=hint)
        said = f": {shown(words)}" if words else ""
        hint = _HINTS.get(status, "")
        if status in {401, 403}:
            hint = advice_for(self.address.origin)
        return RemoteError(
            f"{self.address.origin} says {status} when {doing}{said}",
            hint=hint,
            status=status,
            retryable=status in _TOO_MANY,
        )

    def _document(self, reply: Reply) -> Any:
        body = reply.start_of_body(MAX_ANSWER + 1)
        if len(body) > MAX_ANSWER:
            raise self.broken(f"more than {MAX_ANSWER >> 20} MiB")
        return self.parsed(body)

    def _lines(self, reply: Reply) -> Iterator[bytes]:
        buffer, total = bytearray(), 0
        for chunk in reply.chunks():
            total += len(chunk)
            searched = len(buffer)
            buffer += chunk
            while (end := buffer.find(b"\n", searched)) >= 0:
                yield bytes(buffer[:end]).rstrip(b"\r")
                del buffer[: end + 1]
                searched = 0
            if total > MAX_ANSWER or len(buffer) > MAX_LINE:
                raise self.broken("an answer without an end")
        if buffer:
            yield bytes(buffer).rstrip(b"\r")


def _words(body: bytes) -> str:
    """Return what an error says; OpenAI's has its message one level down."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return own_words(body)
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    return own_words(body)
