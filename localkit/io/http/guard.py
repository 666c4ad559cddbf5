"""Looks at each connection when it is made: who is really there.

A name says nothing: it may be looked up as a public address first and as
127.0.0.1 a moment later. So the address is checked before connecting and again on
the connection, before a byte is sent.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from localkit.io.http.address import Origin, Reach
from localkit.io.http.redirects import require_reach

if TYPE_CHECKING:
    from collections.abc import Callable


class Floor:
    """How far a registry reaches, learned from the connections to it."""

    def __init__(self, origin: Origin, reach: Callable[[str], Reach]) -> None:
        """Take it for public until it is known."""
        self._origin = origin
        self._reach = reach
        self._found: Reach | None = None
        self.reached = False
        """Whether anybody was ever connected to on its behalf."""

    def learn(self, address: str) -> None:
        """Note an address that the registry has; the farthest counts."""
        reach = self._reach(address)
        self._found = reach if self._found is None else max(self._found, reach)

    def require(self, address: str) -> None:
        """Refuse an address that reaches less far.

        Raises:
            RegistryError: it does.
        """
        floor = Reach.PUBLIC if self._found is None else self._found
        require_reach(self._origin, floor, address, self._reach(address))


class Guard:
    """Watches the connection of one request."""

    def __init__(self, floor: Floor, host: str, port: int, *, away: bool) -> None:
        """Expect a connection to ``host``; check it if a redirect led ``away``.

        Raises:
            RegistryError: ``host`` is an address that may not be gone to.
        """
        self._floor = floor
        self._host = host
        self._port = port
        self._away = away
        self._through_proxy = False
        if away and _is_address(host):
            floor.require(host)

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Look at what the HTTP library says that it does.

        Raises:
            RegistryError: the redirect may not lead there.
        """
        if event == "connection.connect_tcp.started":
            # The user's proxy is theirs to choose; it looks the name up itself.
            self._through_proxy = info["host"] != self._host
            if self._away and not self._through_proxy:
                for address in _addresses(self._host, self._port):
                    self._floor.require(address)
        elif event == "connection.connect_tcp.complete":
            self._floor.reached = True
            if self._through_proxy:
                return
            stream = info["return_value"]
            address = stream.get_extra_info("server_addr")[0]
            if not self._away:
                self._floor.learn(address)
                return
            try:
                self._floor.require(address)
            except BaseException:
                stream.close()
                raise


def _is_address(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return False
    return True


def _addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a name; none when it has none: connecting will say."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(entry[4][0]) for entry in found]
