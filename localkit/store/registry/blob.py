"""A registry's blob, read in ranges."""

from __future__ import annotations

import re
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from localkit.errors import DigestMismatch, RegistryError
from localkit.io.http.document import refuse_packed
from localkit.store.digest import short_digest
from localkit.store.registry import endpoints
from localkit.store.registry.client import pulling
from localkit.store.registry.remote import RangeReply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.io.http.client import Reply
    from localkit.store.manifest import Layer
    from localkit.store.registry.client import Registry

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
# What a store of bytes says to a signed address whose time is over.
_EXPIRED = frozenset({400, 401, 403, 404, 410})


class HttpBlob:
    """One blob of a registry; see `RemoteBlob`.

    Registries keep the bytes elsewhere and redirect there. The address is kept and
    asked directly from then on, until it expires.
    """

    def __init__(self, registry: Registry, name: str, layer: Layer) -> None:
        """Ask nothing yet.

        Args:
            registry: Who has it.
            name: Its repository there: ``library/smollm2``.
            layer: Its digest and size, as the manifest says.
        """
        self.digest = layer.digest
        self.size = layer.size
        self._registry = registry
        self._name = name
        self._elsewhere: str | None = None
        self._lock = threading.Lock()

    @contextmanager
    def read(self, start: int, end: int | None = None) -> Iterator[RangeReply]:
        """Open the bytes from ``start`` to ``end``; see `RemoteBlob.read`."""
        end = self.size if end is None else min(end, self.size)
        if not 0 <= start < max(end, 1):
            raise ValueError(f"bytes {start} to {end} of a blob of {self.size}")
        with ExitStack() as stack:
            reply = self._ask(stack, start, end)
            if reply.status == 206:
                yield self._part(reply, start, end)
            else:
                yield self._whole(reply)

    def _ask(self, stack: ExitStack, start: int, end: int) -> Reply:
        """Enter a request into ``stack``: to where the bytes were last, if known."""
        headers = {"Accept": "*/*"}
        if (start, end) != (0, self.size):
            headers["Range"] = f"bytes={start}-{end - 1}"
        known = self._elsewhere
        if known is not None:
            try:
                return stack.enter_context(self._request(known, headers))
            except RegistryError as error:
                if error.status not in _EXPIRED:
                    raise
                with self._lock:
                    if self._elsewhere == known:
                        self._elsewhere = None
        url = endpoints.blob(self._name, self.digest)
        reply = stack.enter_context(self._request(url, headers))
        if reply.origin != self._registry.origin:
            self._elsewhere = reply.url
        return reply

    @contextmanager
    def _request(self, url: str, headers: dict[str, str]) -> Iterator[Reply]:
        short = short_digest(self.digest)
        try:
            with self._registry.stream(
                "GET",
                url,
                scope=pulling(self._name),
                doing=f"getting blob {short}",
                headers=headers,
            ) as reply:
                refuse_packed(reply.headers, str(reply.origin))
                yield reply
        except RegistryError as error:
            if error.status == 416:
                raise self._other(f"has no bytes {headers.get('Range')}") from None
            raise

    def _part(self, reply: Reply, start: int, end: int) -> RangeReply:
        given = reply.headers.get("content-range", "")
        found = _CONTENT_RANGE.fullmatch(given.strip())
        if found is None or int(found[1]) != start or int(found[2]) + 1 > end:
            raise self._other(f"sends '{given[:60]}' for bytes {start} to {end - 1}")
        total = None if found[3] == "*" else int(found[3])
        if total not in (None, self.size):
            raise self._other(f"has {total} bytes of it, not {self.size}")
        return RangeReply(
            start,
            total,
            reply.headers.get("etag"),
            self._bounded(reply, int(found[2]) + 1 - start),
        )

    def _whole(self, reply: Reply) -> RangeReply:
        claimed = reply.headers.get("content-length", "")
        total = int(claimed) if re.fullmatch(r"\d{1,18}", claimed) else None
        if total not in (None, self.size):
            if reply.headers.get("content-type", "").startswith("text/html"):
                raise RegistryError(
                    f"{reply.origin} answers with a web page in place of blob "
                    f"{short_digest(self.digest)}",
                    hint="a login page of this network? Open a browser and look",
                )
            raise self._other(f"has {total} bytes of it, not {self.size}")
        return RangeReply(
            0, total, reply.headers.get("etag"), self._bounded(reply, self.size)
        )

    def _bounded(self, reply: Reply, n_bytes: int) -> Iterator[bytes]:
        """Yield the body, and refuse the first byte too many."""
        left = n_bytes
        for chunk in reply.chunks():
            if len(chunk) > left:
                raise self._other(f"sends more than the {n_bytes} bytes asked for")
            left -= len(chunk)
            yield chunk

    def _other(self, what: str) -> DigestMismatch:
        return DigestMismatch(
            f"{self._registry.host} {what}: these are not blob "
            f"{short_digest(self.digest)}",
            hint="pull again; if it stays so, tell the registry's owner",
        )
