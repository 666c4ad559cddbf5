"""Sending one blob to a registry, from where an earlier try ended.

The registry counts what it keeps and says so in its answers; what it says decides
where to go on, and nothing else, for it hashes the whole at the end. The address of
an upload outlives this process: it is noted in the store, and the next push of that
blob to that place asks it how far it had come.

How much that saves is up to the registry. Docker's (2.8, tried) takes an upload up
again only where a request had ended: cut off within one, it forgets the upload, and
the blob begins again.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from localkit.errors import Cancelled, RegistryError
from localkit.events import CancelToken, OnProgress, Progress
from localkit.io.atomic import write_atomic
from localkit.io.http import Pace, ask_again
from localkit.io.regular import open_regular
from localkit.store.digest import short_id
from localkit.store.registry import endpoints
from localkit.store.registry.client import pushing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import FileIO

    from localkit.io.http.document import Document
    from localkit.store.layout import Layout
    from localkit.store.manifest import Layer
    from localkit.store.registry.client import Registry

CHUNK_SIZE = 64 << 20
"""Bytes of one request: what a broken connection can cost."""
_PIECE = 256 << 10
_MAX_ANSWER = 64 << 10
_MAX_NOTE = 16 << 10
# How registries say that an upload is unknown, or not the blob that it should be.
_LOST = frozenset({400, 404, 416})
_KEPT = re.compile(r"(?:bytes=)?0-(\d{1,18})")


class _Note(BaseModel):
    """An upload that has not ended."""

    model_config = ConfigDict(frozen=True)

    location: str
    """Address that the registry gave for it."""


class Upload:
    """One blob on its way to one repository."""

    def __init__(
        self,
        layout: Layout,
        layer: Layer,
        registry: Registry,
        name: str,
        *,
        source: str | None = None,
        pace: Pace | None = None,
        chunk_size: int = CHUNK_SIZE,
        on_progress: OnProgress,
        cancel: CancelToken | None,
    ) -> None:
        """Send nothing yet.

        Args:
            layout: The store.
            layer: The blob.
            registry: Where it goes.
            name: To which repository there.
            source: Repository there that may have it already.
            pace: How often and how fast to try again.
            chunk_size: Bytes of one request.
            on_progress: Told how far it is, in bytes.
            cancel: Stops it.
        """
        self._layer = layer
        self._short = short_id(layer.digest)
        self._path = layout.blob(layer.digest)
        # A host may be called anything, so its name does not become a file's.
        place = hashlib.sha256(f"{registry.host}/{name}".encode()).hexdigest()[:16]
        self._note = layout.upload(layer.digest, place)
        self._registry = registry
        self._name = name
        self._source = source
        self._scope = pushing(name, *([] if source is None else [source]))
        self._pace = pace or Pace()
        self._chunk_size = chunk_size
        self._on_progress = on_progress
        self._cancel = cancel
        self._location = ""
        self._kept = 0
        self._doubtful = False
        self._unsure = False
        self.n_sent = 0
        """Bytes that went over the wire."""

    def run(self) -> None:
        """Bring the blob there: taken over from ``source``, or what is missing sent.

        Raises:
            SourceNotFound: the blob was removed from the store meanwhile.
            RegistryError: refused, failed or out of reach to the last.
            Cancelled: ``cancel`` was raised; the next push goes on from there.
        """
        # Whether the registry's memory of this upload may be what fails.
        self._doubtful = self._resume()
        if not self._doubtful and not self._begin():
            return  # taken over
        for n_begun in itertools.count(1):
            try:
                self._send()
            except RegistryError as error:
                lost = self._doubtful and error.status in _LOST
                if not lost or n_begun >= self._pace.n_tries:
                    raise
                self._on_progress(Progress(f"pushing {self._short} again: {error}", 0))
                self._note.unlink(missing_ok=True)
                if not self._begin():
                    return
            else:
                return

    def _resume(self) -> bool:
        """Return whether a noted upload goes on."""
        try:
            with self._note.open("rb") as stream:
                self._location = _Note.model_validate_json(
                    stream.read(_MAX_NOTE)
                ).location
        except (OSError, ValidationError):
            return False
        try:
            self._ask_how_far()
        except RegistryError as error:
            if error.status is None:
                raise
            return False
        return True

    def _begin(self) -> bool:
        """Open an upload; return False when the registry took the blob over."""
        answer = self._document(
            "POST",
            endpoints.uploads(
                self._name, mount=self._layer.digest, source=self._source
            ),
            "opening the upload",
        )
        self._kept = 0
        self._unsure = self._doubtful = False
        if answer.status == 201:
            return False
        location = self._next(answer.headers)
        if not location:
            raise RegistryError(
                f"{self._registry.host} opens an upload without saying where",
                hint="it does not speak docker's protocol, version 2",
            )
        self._location = location
        self._remember()
        return True

    def _send(self) -> None:
        with open_regular(self._path) as stream:
            while self._kept < self._layer.size:
                ask_again(
                    lambda: self._send_chunk(stream),
                    self._pace,
                    on_progress=self._on_progress,
                    cancel=self._cancel,
                )
        self._document(
            "PUT",
            endpoints.finished(self._location, self._layer.digest),
            "closing the upload",
        )
        self._note.unlink(missing_ok=True)

    def _send_chunk(self, stream: FileIO) -> None:
        if self._unsure:
            self._doubtful = True
            self._ask_how_far()
        start = self._kept
        length = min(self._chunk_size, self._layer.size - start)
        self._unsure = True
        with self._registry.stream(
            "PATCH",
            self._location,
            scope=self._scope,
            doing=f"sending blob {self._short}",
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Length": str(length),
                "Content-Range": f"{start}-{start + length - 1}",
            },
            body=lambda: self._pieces(stream, start, length),
        ) as reply:
            # Not every registry says what it kept: then, all of it.
            self._kept = self._count(reply.headers, start + length)
            self._location = self._next(reply.headers) or self._location
        self._unsure = False
        self._remember()
        if self._kept <= start:
            raise RegistryError(
                f"{self._registry.host} takes bytes of blob {self._short} and "
                "keeps none",
                hint="push again later",
            )

    def _pieces(self, stream: FileIO, start: int, length: int) -> Iterator[bytes]:
        stream.seek(start)
        sent = 0
        while sent < length:
            if self._cancel is not None and self._cancel.cancelled:
                raise Cancelled("pushing was stopped", hint="push again to go on")
            piece = stream.read(min(_PIECE, length - sent))
            if not piece:
                raise RegistryError(f"blob {self._short} was cut short meanwhile")
            yield piece
            sent += len(piece)
            self.n_sent += len(piece)
            self._on_progress(
                Progress(f"pushing {self._short}", start + sent, self._layer.size, "B")
            )

    def _ask_how_far(self) -> None:
        answer = self._document("GET", self._location, "looking how far it had come")
        kept = self._count(answer.headers, 0)
        # Docker's says 0-0 for nothing, too.
        self._kept = 0 if kept == 1 else min(kept, self._layer.size)
        self._location = self._next(answer.headers) or self._location

    def _document(self, method: str, url: str, doing: str) -> Document:
        return self._registry.document(
            method,
            url,
            scope=self._scope,
            limit=_MAX_ANSWER,
            doing=f"{doing} of blob {self._short}",
            body=None if method == "GET" else b"",
        )

    @staticmethod
    def _count(headers: Mapping[str, str], otherwise: int) -> int:
        found = _KEPT.fullmatch(headers.get("range", "").strip())
        return otherwise if found is None else int(found[1]) + 1

    @staticmethod
    def _next(headers: Mapping[str, str]) -> str:
        return headers.get("docker-upload-location") or headers.get("location") or ""

    def _remember(self) -> None:
        """Note where to go on; a store that may only be read can push all the same."""
        note = _Note(location=self._location).model_dump_json().encode()
        with suppress(OSError):
            write_atomic(self._note, note)
