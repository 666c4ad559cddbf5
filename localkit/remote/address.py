"""Where a remote model is: ``MODEL@URL``.

::

    llama3.2@http://gpu-box:11434
    Qwen/Qwen3-8B@http://127.0.0.1:8000/v1
    gpt-5@openai+https://api.openai.com/v1

``openai+`` or ``ollama+`` before the URL says what is spoken there; otherwise the
server is asked. A URL holds no password: keys are settings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import urlsplit

from localkit.errors import UsageError

Dialect = Literal["openai", "ollama"]

_ADDRESS = re.compile(
    r"(?P<model>.*?)@(?:(?P<dialect>\w+)\+)?(?P<url>https?://.*)", re.S
)
_HINT = "write it as MODEL@http://HOST:PORT, or MODEL@https://HOST/v1"
_MAX_LENGTH = 2048
_MAX_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Address:
    """A model on a server."""

    model: str
    """Its name there."""
    origin: str
    """``http://host:port``."""
    path: str = ""
    """What the URL says after that, without a slash at its end: ``/v1``."""
    dialect: Dialect | None = None
    """None: the server is to be asked."""

    def __str__(self) -> str:
        """Return it as it was written."""
        dialect = f"{self.dialect}+" if self.dialect else ""
        return f"{self.model}@{dialect}{self.origin}{self.path}"


def is_address(text: str) -> bool:
    """Return whether ``text`` means a model behind a URL, and not a ref."""
    return _ADDRESS.fullmatch(text) is not None


def parse_address(text: str) -> Address:
    """Return what ``MODEL@URL`` means.

    Raises:
        UsageError: it is no such address, or it carries a password.
    """
    found = _ADDRESS.fullmatch(text)
    # The text may hold a password: an error shows none of what could be one.
    if found is None or len(text) > _MAX_LENGTH:
        shown = re.sub(r"//.*@", "//…@", text[:_MAX_SHOWN])
        msg = f"'{shown}' is no address of a model"
        raise UsageError(msg, hint=_HINT)
    model, dialect = found["model"], found["dialect"]
    if not model or not model.isprintable() or model != model.strip():
        msg = "the address of a model does not name it"
        raise UsageError(msg, hint=_HINT)
    if dialect not in {None, "openai", "ollama"}:
        msg = f"'{dialect[:_MAX_SHOWN]}' is no dialect of a server"
        raise UsageError(msg, hint="write openai+http://… or ollama+http://…")
    try:
        url = urlsplit(found["url"])
        host, port = url.hostname or "", url.port
    except ValueError as error:
        msg = f"the URL of '{model[:_MAX_SHOWN]}' is none"
        raise UsageError(msg, hint=_HINT) from error
    if url.username is not None or url.password is not None:
        msg = f"the URL of '{model[:_MAX_SHOWN]}' carries a user name or password"
        raise UsageError(
            msg, hint="leave it out; a key is set with LOCALKIT_API_KEY instead"
        )
    plain = re.fullmatch(r"[\w.:-]+", host) and re.fullmatch(r"[\w./~-]*", url.path)
    if not plain or url.query or url.fragment or ".." in url.path:
        msg = f"the URL of '{model[:_MAX_SHOWN]}' is more than host, port and path"
        raise UsageError(msg, hint=_HINT)
    shown_host = f"[{host}]" if ":" in host else host
    origin = f"{url.scheme}://{shown_host}" + (f":{port}" if port is not None else "")
    return Address(model, origin, url.path.rstrip("/"), cast("Dialect | None", dialect))
