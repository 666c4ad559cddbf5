"""A registry that speaks Ollama's protocol, which is docker's, version 2."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from localkit.errors import RegistryError
from localkit.events import OnProgress, no_progress
from localkit.io.http import Http, Pace, Reach, ask_again, check_status, reach_of
from localkit.io.http.client import STALL_S
from localkit.io.http.document import DOCUMENT_S, read_document
from localkit.io.http.failures import MAX_ERROR_BODY
from localkit.io.http.watch import Deadline
from localkit.store.registry import endpoints
from localkit.store.registry.auth import Auth
from localkit.store.registry.credentials import Credential, find_credential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from localkit.events import CancelToken
    from localkit.io.http.client import Reply
    from localkit.io.http.document import Document

MAX_TAGS_SIZE = 4 << 20
"""Bytes that a list of tags may have."""
RECEIVE_BUFFER = 1 << 20
"""Bytes of a blob that may wait to be read: a killed pull loses those of each stream.
Enough for 80 MB/s over 4 streams at a distance of 50 ms."""


class Registry:
    """One registry. Safe to use from many threads; a context that closes it.

    Whatever it asks for is answered once: a token on the first 401. Passing trouble
    is waited out, which `ask_again` reports.
    """

    def __init__(
        self,
        host: str,
        *,
        insecure: bool = False,
        find: Callable[[str], Credential | None] = find_credential,
        realms: frozenset[str] = frozenset(),
        pace: Pace | None = None,
        stall_s: float = STALL_S,
        document_s: float = DOCUMENT_S,
        reach: Callable[[str], Reach] = reach_of,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            host: ``host[:port]``.
            insecure: Whether to speak plain http to a host that is not this machine.
            find: Looks up who to be, when the registry asks.
            realms: Further origins that may hand out its tokens.
            pace: How often and how fast to ask again.
            stall_s: Longest silence within a blob, in seconds.
            document_s: Seconds in which a small document has to be here.
            reach: How far an IP address reaches.
            on_progress: Told about waits.
            cancel: Ends requests for small documents, and waits.
        """
        base = endpoints.base_url(host, insecure=insecure)
        self.host = host
        # Apart from the blobs: a deadline of one may shut the connections of all.
        self._documents = Http(base, stall_s=document_s, keep_alive=True, reach=reach)
        self._blobs = Http(
            base,
            stall_s=stall_s,
            keep_alive=True,
            receive_buffer=RECEIVE_BUFFER,
            reach=reach,
        )
        self.origin = self._documents.origin
        self._auth = Auth(self._documents, host, find=find, realms=realms)
        self._pace = pace or Pace()
        self._document_s = document_s
        self._on_progress = on_progress
        self._cancel = cancel

    def __enter__(self) -> Self:
        """Connect at the first request."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection."""
        self.close()

    def __repr__(self) -> str:
        """Return how this registry is made."""
        return f"Registry({self.host!r})"

    def close(self) -> None:
        """Close every connection."""
        self._documents.close()
        self._blobs.close()

    def document(
        self,
        method: str,
        url: str,
        *,
        scope: str,
        limit: int,
        doing: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        expected: frozenset[int] = frozenset(),
    ) -> Document:
        """Ask for a small document until there is an answer.

        Args:
            method: ``GET``, ``HEAD``, …
            url: A path of the registry, or an address it gave.
            scope: What a token is wanted for.
            limit: Bytes it may have.
            doing: What for, for messages: ``getting the manifest of smollm2``.
            headers: To send along.
            body: To send.
            expected: Statuses that are an answer too, though they say no: 404.

        Raises:
            RegistryError: refused, failed, out of reach, too slow or too large.
            Cancelled: the registry's token was raised.
        """
        deadline = Deadline(self._document_s)

        def once() -> Document:
            sent = self._auth.headers(scope)
            for _ in range(2):
                found = read_document(
                    self._documents,
                    method,
                    url,
                    limit=limit,
                    headers=headers,
                    secrets=sent,
                    body=body,
                    deadline=deadline,
                    cancel=self._cancel,
                )
                if (
                    found.status != 401
                    or found.origin != self.origin
                    or not self._auth.answer(
                        found.headers, scope, sent, cancel=self._cancel
                    )
                ):
                    break
                sent = self._auth.headers(scope)
            if found.status in expected:
                return found
            return found.accepted(what=self.host, doing=doing)

        return ask_again(
            once,
            self._pace,
            deadline=deadline,
            worth=lambda: self._documents.reached,
            on_progress=self._on_progress,
            cancel=self._cancel,
        )

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        scope: str,
        doing: str,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Iterable[bytes]] | None = None,
    ) -> Iterator[Reply]:
        """Send one request whose body or answer is large; give a yes.

        Args:
            method: ``GET``, ``PATCH``, ``PUT``.
            url: A path of the registry, or an address it gave.
            scope: What a token is wanted for.
            doing: What for, for messages.
            headers: To send along.
            body: Makes the pieces to send, from the beginning.

        Raises:
            RegistryError: refused, failed or out of reach.
        """
        for last in (False, True):
            sent = self._auth.headers(scope)
            with self._blobs.open(
                method,
                url,
                headers=headers,
                secrets=sent,
                body=None if body is None else body(),
            ) as reply:
                if reply.status < 400:
                    yield reply
                    return
                words = reply.start_of_body(MAX_ERROR_BODY)
                refusal = reply.headers
                here = reply.origin == self.origin
                who = self.host if here else str(reply.origin)
            if (
                reply.status != 401
                or last
                or not here
                or not self._auth.answer(refusal, scope, sent, cancel=self._cancel)
            ):
                check_status(reply.status, refusal, words, what=who, doing=doing)

    def tags(self, name: str) -> list[str]:
        """Return the tags of a model, as far as the registry lists them; by name.

        Args:
            name: The repository: ``library/smollm2``.

        Raises:
            RegistryError: the registry does not offer lists (status 404 or 405), or
                as `document`.
        """
        answer = self.document(
            "GET",
            endpoints.tags(name),
            scope=pulling(name),
            limit=MAX_TAGS_SIZE,
            doing=f"listing the tags of {name}",
            expected=frozenset({404, 405}),
        )
        try:
            listed = json.loads(answer.body) if answer.status < 400 else None
        except (ValueError, RecursionError):
            listed = None
        # Docker's says null once the last tag is gone.
        tags = (listed.get("tags") or []) if isinstance(listed, dict) else None
        if not isinstance(tags, list):
            raise RegistryError(
                f"{self.host} does not offer a list of the tags of {name}",
                hint="name a tag",
                status=answer.status,
            )
        return sorted(tag for tag in tags if isinstance(tag, str))


def pulling(name: str) -> str:
    """Return the scope of reading a repository."""
    return f"repository:{name}:pull"


def pushing(name: str, *sources: str) -> str:
    """Return the scope of writing one, and reading those that blobs are taken from."""
    scopes = [f"repository:{name}:pull,push", *map(pulling, sources)]
    return " ".join(scopes)
