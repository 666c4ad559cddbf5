"""Which key goes to which server: never one to a stranger, or in the open."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from localkit.config import settings
from localkit.io.http.address import is_loopback_host

if TYPE_CHECKING:
    from pydantic import SecretStr

OPENAI = "https://api.openai.com"


def key_for(origin: str) -> SecretStr | None:
    """Return the key to show to the server at ``origin``, if there is one for it."""
    known = settings()
    url = urlsplit(origin)
    if known.api_key is not None:
        if known.api_host is not None:
            # Whoever names a host may mean one without encryption.
            if known.api_host.lower() in {url.netloc.lower(), url.hostname}:
                return known.api_key
        elif url.scheme == "https" or is_loopback_host(url.netloc):
            return known.api_key
    return known.openai_api_key if origin == OPENAI else None


def advice_for(origin: str) -> str:
    """Return what to do when the server at ``origin`` wants to know who asks."""
    known = settings()
    if key_for(origin) is not None:
        return "the key that was sent is not the right one"
    if known.api_key is None:
        return "set LOCALKIT_API_KEY"
    host = urlsplit(origin).netloc
    return f"the key was not sent there; if it is for it, set LOCALKIT_API_HOST={host}"
