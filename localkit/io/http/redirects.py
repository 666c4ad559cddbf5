"""Where a redirect may lead.

Followed by hand, because a library follows them for a browser: it keeps headers of
our own, goes from https to http, and to whatever an address book says. Each step is
refused that leaves encryption, carries a password, is no http, or leads from a
server that everybody reaches to one that only this machine or network does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.errors import RegistryError
from localkit.io.http.address import Origin, Reach
from localkit.io.http.failures import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from httpx2 import URL

MAX_REDIRECTS = 5
STATUSES = frozenset({301, 302, 303, 307, 308})

# What may go along to another origin; anything else could be a secret.
HARMLESS = frozenset(
    {"accept", "accept-encoding", "if-range", "range", "user-agent", "content-type"}
)

_HINT = "the registry is misconfigured or hostile: nothing was sent there"


def follow(current: URL, location: str) -> URL:
    """Return the address that a ``Location`` header means.

    Raises:
        RegistryError: it may not be followed.
    """
    import httpx2

    try:
        url = current.join(location).copy_with(fragment=None)
    except (httpx2.InvalidURL, ValueError) as error:
        raise _refused(current, location, "that is no address") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise _refused(current, location, "only http and https are followed")
    if current.scheme == "https" and url.scheme == "http":
        raise _refused(current, location, "that would leave encryption")
    if url.userinfo:
        raise _refused(current, location, "it carries a user name")
    return url


def harmless(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that may go to another origin."""
    return {name: value for name, value in headers.items() if name.lower() in HARMLESS}


def require_reach(origin: Origin, floor: Reach, address: str, reach: Reach) -> None:
    """Refuse an address that the registry may not send anybody to.

    Args:
        origin: The registry.
        floor: How far the registry itself reaches.
        address: The IP address to go to, for the message.
        reach: Of that address.

    Raises:
        RegistryError: it reaches less far than the registry.
    """
    if reach is Reach.NEVER or reach < floor:
        raise RegistryError(
            f"{origin} leads to {shown(address)}, which only machines near you reach",
            hint=_HINT,
        )


def too_many(origin: Origin) -> RegistryError:
    """Return the error of a redirect too many."""
    return RegistryError(
        f"{origin} redirects more than {MAX_REDIRECTS} times", hint=_HINT
    )


def _refused(current: URL, location: str, why: str) -> RegistryError:
    bare = shown(location.partition("?")[0])
    return RegistryError(
        f"{Origin.of(current)} redirects to '{bare}': {why}", hint=_HINT
    )
