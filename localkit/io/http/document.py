"""Small documents: manifests, tokens, lists of tags. Every bound at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import RegistryError
from localkit.io.http.failures import MAX_ERROR_BODY, check_status
from localkit.io.http.watch import Deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from localkit.events import CancelToken
    from localkit.io.http.address import Origin
    from localkit.io.http.client import Http

DOCUMENT_S = 30.0
"""Seconds in which a small document has to be here, to its last byte."""


@dataclass(frozen=True, slots=True)
class Document:
    """A small answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    origin: Origin
    """Who gave it: the one asked, or who that redirected to."""

    def accepted(self, *, what: str, doing: str) -> Document:
        """Return itself if the answer is yes.

        Raises:
            RegistryError: it is no: with the status and the server's own words.
        """
        check_status(self.status, self.headers, self.body, what=what, doing=doing)
        return self


def read_document(
    http: Http,
    method: str,
    url: str,
    *,
    limit: int,
    headers: Mapping[str, str] | None = None,
    secrets: Mapping[str, SecretStr] | None = None,
    body: bytes | None = None,
    deadline: Deadline | None = None,
    cancel: CancelToken | None = None,
) -> Document:
    """Send one request and read its small answer, whatever the status.

    Args:
        http: Whom to ask.
        method: ``GET``, ``POST``, …
        url: Absolute, or a path of the origin.
        limit: Bytes that the answer may have; of one that says no, some are read.
        headers: What may travel anywhere.
        secrets: Headers for the origin alone.
        body: What to send.
        deadline: Default: `DOCUMENT_S` from now.
        cancel: Ends the request.

    Raises:
        RegistryError: no answer, too slow, too large, or packed.
        Cancelled: ``cancel`` was raised.
    """
    with http.open(
        method,
        url,
        headers=headers,
        secrets=secrets,
        body=body,
        deadline=deadline or Deadline(DOCUMENT_S),
        cancel=cancel,
    ) as reply:
        if reply.status >= 400:
            start = reply.start_of_body(MAX_ERROR_BODY)
            return Document(reply.status, reply.headers, start, reply.origin)
        refuse_packed(reply.headers, str(reply.origin))
        data = reply.start_of_body(limit + 1)
        if len(data) > limit:
            raise RegistryError(
                f"{reply.origin} sends more than the {_amount(limit)} that "
                "such an answer may have",
                hint="the registry is broken or hostile: nothing was kept",
            )
        return Document(reply.status, reply.headers, data, reply.origin)


def refuse_packed(headers: Mapping[str, str], what: str) -> None:
    """Refuse a body that came packed, though it was asked for plain.

    Raises:
        RegistryError: it did.
    """
    packed = headers.get("content-encoding", "identity").strip().lower()
    if packed not in {"", "identity"}:
        raise RegistryError(
            f"{what} sends packed bytes ({packed[:20]}) though plain ones were "
            "asked for",
            hint="the registry or a proxy before it is misconfigured",
        )


def _amount(n_bytes: int) -> str:
    return f"{n_bytes >> 20} MiB" if n_bytes >= 1 << 20 else f"{n_bytes >> 10} KiB"
