"""One registry's or hub's HTTP: requests, redirects, and what may travel along."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from localkit.errors import RegistryError
from localkit.io.http import redirects
from localkit.io.http.address import Origin, Reach, reach_of
from localkit.io.http.failures import explained, shown
from localkit.io.http.guard import Floor, Guard
from localkit.io.http.watch import SOCKET_EVENTS, Deadline, Watch
from localkit.version import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from httpx2 import URL, Client, Response
    from pydantic import SecretStr

    from localkit.events import CancelToken

CONNECT_S = 10.0
"""Longest wait for a connection."""
STALL_S = 30.0
"""Longest silence within a reply."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose body has not been read yet."""

    status: int
    headers: Mapping[str, str]
    """By name, in whatever case."""
    url: str
    """Where it came from in the end."""
    origin: Origin
    """Of that address: the registry, or who it redirected to."""
    _response: Response

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes, never unpacked.

        Raises:
            RegistryError: it broke off or stalled.
        """
        with explained(str(self.origin)):
            yield from self._response.iter_raw()

    def start_of_body(self, limit: int) -> bytes:
        """Return at most ``limit`` bytes of the body.

        Raises:
            RegistryError: it broke off or stalled.
        """
        body = bytearray()
        for chunk in self.chunks():
            body += chunk[: limit - len(body)]
            if len(body) >= limit:
                break
        return bytes(body)


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """Return who is trusted: 35 ms to read, so read once."""
    import httpx2

    return httpx2.create_ssl_context()


class Http:
    """Sends requests to one origin and follows where it redirects, within bounds.

    Secrets go to that origin and nowhere else. Nothing is unpacked, no cookie is
    kept, proxies are those of the environment. Safe to use from many threads.
    """

    def __init__(
        self,
        origin: str,
        *,
        stall_s: float = STALL_S,
        keep_alive: bool = False,
        receive_buffer: int | None = None,
        reach: Callable[[str], Reach] = reach_of,
    ) -> None:
        """Connect to nothing yet.

        Args:
            origin: ``https://host[:port]``.
            stall_s: Longest silence within a reply, in seconds.
            keep_alive: Whether to use a connection again. A deadline that passes
                on one that was shuts all that are open.
            receive_buffer: Bytes of one connection that may wait in the system to be
                read; None: as the system likes.
            reach: How far an IP address reaches.
        """
        import httpx2

        with explained(f"'{origin[:200]}'"):
            self.origin = Origin.of(httpx2.URL(origin))
        if not self.origin.host or "%" in self.origin.host:
            raise RegistryError(f"'{shown(origin)}' is no address of a server")
        self._stall_s = stall_s
        self._keep_alive = keep_alive
        self._receive_buffer = receive_buffer
        self._floor = Floor(self.origin, reach)
        # Connections that the user asked for, and those that a redirect did: the
        # latter were held to where they may lead, so the two are never mixed.
        self._clients: dict[bool, Client] = {}
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Connect at the first request."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what is open."""
        self.close()

    def close(self) -> None:
        """Close every connection; a later request opens new ones."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    @property
    def reached(self) -> bool:
        """Whether a connection was ever made."""
        return self._floor.reached

    @contextmanager
    def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Mapping[str, SecretStr] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        deadline: Deadline | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[Reply]:
        """Send a request and give the answer, redirects followed, whatever it says.

        Args:
            method: ``GET``; only it and ``HEAD`` are redirected.
            url: Absolute, or a path of the origin.
            headers: What may travel anywhere, if it is a common header.
            secrets: Headers for the origin alone.
            body: Bytes, or pieces of them with a ``Content-Length`` header.
            deadline: When the block has to be over.
            cancel: Ends the request.

        Raises:
            RegistryError: no answer, or one that leads where it may not.
            Cancelled: ``cancel`` was raised.
        """
        import httpx2

        target = redirects.follow(httpx2.URL(str(self.origin)), url)
        sent = {
            "User-Agent": f"localkit/{__version__}",
            **(headers or {}),
            "Accept-Encoding": "identity",
        }
        trusted = secrets or {}
        with Watch(
            deadline, cancel, what=str(self.origin), others=self._open_sockets
        ) as watch:
            for _ in range(redirects.MAX_REDIRECTS + 1):
                if Origin.of(target) != self.origin:
                    # For good: it does not come back with them either.
                    trusted = {}
                    sent = redirects.harmless(sent)
                with self._send(method, target, sent, trusted, body, watch) as reply:
                    location = reply.headers.get("location")
                    if reply.status not in redirects.STATUSES or not location:
                        yield reply
                        return
                if method not in {"GET", "HEAD"}:
                    raise RegistryError(
                        f"{self.origin} redirects a {method}, which is not followed",
                        hint="use the registry's own address",
                        status=reply.status,
                    )
                target = redirects.follow(target, location)
        raise redirects.too_many(self.origin)

    @contextmanager
    def _send(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        secrets: Mapping[str, SecretStr],
        body: bytes | Iterable[bytes] | None,
        watch: Watch,
    ) -> Iterator[Reply]:
        """Send one request, and close the answer at the end."""
        origin = Origin.of(url)
        away = origin != self.origin
        guard = Guard(self._floor, origin.host, origin.port, away=away)

        def trace(event: str, info: dict[str, Any]) -> None:
            guard.trace(event, info)
            watch.trace(event, info)
            if event in SOCKET_EVENTS:
                with self._lock:
                    self._sockets.add(info["return_value"].get_extra_info("socket"))
            if self._receive_buffer and event.endswith("connect_tcp.complete"):
                info["return_value"].get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer
                )

        client = self._client(away=away)
        with explained(str(origin)):
            request = client.build_request(
                method, url, headers=headers, content=body, extensions={"trace": trace}
            )
            for name, value in secrets.items():
                request.headers[name] = value.get_secret_value()
            response = client.send(request, stream=True)
        try:
            yield Reply(
                response.status_code, response.headers, str(url), origin, response
            )
        finally:
            with explained(str(origin)):
                response.close()

    def _open_sockets(self) -> list[socket.socket]:
        with self._lock:
            return list(self._sockets)

    def _client(self, *, away: bool) -> Client:
        import httpx2

        with self._lock:
            if away not in self._clients:
                self._clients[away] = httpx2.Client(
                    verify=_trust(),
                    follow_redirects=False,
                    # A cookie's host counts there without its port.
                    cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                    timeout=httpx2.Timeout(
                        self._stall_s, connect=CONNECT_S, pool=CONNECT_S
                    ),
                    limits=httpx2.Limits(
                        max_connections=None,
                        max_keepalive_connections=None if self._keep_alive else 0,
                    ),
                )
            return self._clients[away]
