"""Who may be asked: origins, and how far an address reaches."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpx2 import URL

_PORTS = {"http": 80, "https": 443}
# RFC 6052: an IPv4 address in the last 32 bits, which a gateway connects to.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Reach(IntEnum):
    """Who can be at an address. A redirect may go to the same or a greater reach."""

    NEVER = -1
    """Link-local (a cloud's metadata service), multicast, unspecified, reserved."""
    LOOPBACK = 0
    """This machine."""
    PRIVATE = 1
    """This network."""
    PUBLIC = 2
    """Everybody."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what a secret belongs to."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: URL) -> Origin:
        """Return the origin of a URL; a port left out is its scheme's."""
        return cls(url.scheme, url.host, url.port or _PORTS.get(url.scheme, 0))

    def __str__(self) -> str:
        """Return it as it stands at the beginning of a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def reach_of(address: str) -> Reach:
    """Return how far an IP address reaches.

    Raises:
        ValueError: the text is not an IP address.
    """
    ip = _inner(ipaddress.ip_address(address))
    if ip.is_loopback:
        return Reach.LOOPBACK
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return Reach.NEVER
    return Reach.PUBLIC if ip.is_global else Reach.PRIVATE


def _inner(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 one wraps, or the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def is_loopback_host(host: str) -> bool:
    """Return whether ``host[:port]`` names this machine."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return reach_of(name) is Reach.LOOPBACK
    except ValueError:
        return False
