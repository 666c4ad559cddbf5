"""Say in our own errors what goes wrong between here and a server.

What a request sent (an ``Authorization`` header among it) is in the local variables
of the HTTP library's frames, and a traceback may show those. So errors from there
are kept as the cause without their frames.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from localkit.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_SHOWN = 200
"""Characters of a server's own words that a message shows."""
MAX_ERROR_BODY = 16 << 10
"""Bytes of an error's body that are read for that."""

_OFFLINE = "check the network; what is in the store works without it"
_UNTRUSTED = "if it is right, set SSL_CERT_FILE to the certificate that signs for it"
# RFC 9110: these may be over when the same is asked again.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_MEANINGS = {
    401: ("wants to know who asks", "give a token or password: `localkit pull --help`"),
    403: ("does not allow it", "ask its owner, or log in as someone who may"),
    404: ("does not have it", "check the name and tag"),
    407: ("is behind a proxy that wants a password", "put it into HTTPS_PROXY"),
    429: ("gets too many requests", "try again later"),
}


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the HTTP library's exceptions into `RegistryError`.

    Args:
        what: Who was asked: ``https://registry.ollama.ai``.

    Raises:
        RegistryError: no answer came, or it broke off.
    """
    import httpx2

    try:
        yield
    except httpx2.ProxyError as error:
        raise RegistryError(
            f"the proxy on the way to {what} refuses: {shown(str(error))}",
            hint="check HTTP_PROXY, HTTPS_PROXY and NO_PROXY",
        ) from _bare(error)
    except httpx2.ConnectTimeout as error:
        raise RegistryError(
            f"cannot reach {what}: no answer", hint=_OFFLINE, retryable=True
        ) from _bare(error)
    except httpx2.ConnectError as error:
        reason = shown(str(error)) or "no connection"
        untrusted = "CERTIFICATE_VERIFY_FAILED" in reason
        raise RegistryError(
            f"cannot reach {what}: {reason}",
            hint=_UNTRUSTED if untrusted else _OFFLINE,
            retryable=not untrusted,
        ) from _bare(error)
    except httpx2.TimeoutException as error:
        raise RegistryError(
            f"{what} stopped answering", hint="try again later", retryable=True
        ) from _bare(error)
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        reason = shown(str(error)) or type(error).__name__
        raise RegistryError(
            f"the connection to {what} broke: {reason}",
            hint="try again",
            retryable=True,
        ) from _bare(error)
    except httpx2.InvalidURL as error:
        raise RegistryError(
            f"{what} led to an address that is none: {shown(str(error))}"
        ) from _bare(error)


def _bare(error: Exception) -> Exception:
    """Return the error without frames, and without the errors before it."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def check_status(
    status: int, headers: Mapping[str, str], body: bytes, *, what: str, doing: str
) -> None:
    """Refuse an answer that says no.

    Args:
        status: Of the answer; below 400 is fine.
        headers: Of the answer, names in lower case.
        body: Of the answer, as much as was read.
        what: Who was asked.
        doing: What was wanted: ``getting the manifest of smollm2``.

    Raises:
        RegistryError: with the status, the server's own words and, where it says so,
            when to come back.
    """
    if status < 400:
        return
    meaning, hint = _MEANINGS.get(
        status, ("failed", "try again later") if status >= 500 else ("refuses", "")
    )
    words = shown(own_words(body))
    after_s = retry_after_s(headers.get("retry-after"))
    if after_s is not None and status in _PASSING:
        hint = f"it asks to wait {after_s:.0f} s"
    raise RegistryError(
        f"{what} {meaning} ({status}) when {doing}" + (f": {words}" if words else ""),
        hint=hint,
        status=status,
        retryable=status in _PASSING,
        retry_after_s=after_s,
    )


def retry_after_s(value: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, if it is one."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def own_words(body: bytes) -> str:
    """Return what an error's body says: the message in the JSON, or the text."""
    text = body[:MAX_ERROR_BODY].decode(errors="replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return " ".join(re.sub(r"<[^<>]*>", " ", text).split())
    if isinstance(document, dict):
        errors = document.get("errors")
        first = errors[0] if isinstance(errors, list) and errors else document
        if isinstance(first, dict):
            for key in ("message", "error", "details", "code"):
                if isinstance(first.get(key), str):
                    return str(first[key])
    return text


def shown(text: str) -> str:
    """Return at most `MAX_SHOWN` characters, with those that steer written out."""
    safe = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text[: MAX_SHOWN + 1]
    )
    return safe if len(safe) <= MAX_SHOWN else f"{safe[: MAX_SHOWN - 1]}…"
