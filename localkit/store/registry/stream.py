"""One connection's way into the file: a part is written from its first gap on."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from localkit.store.registry.refusals import Restart

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.registry.journal import Journal
    from localkit.store.registry.limits import Limits
    from localkit.store.registry.received import Received

# A slow stream is noted as well: 4 of 0.1 MiB/s lose little when killed.
_NOTE_EVERY_S = 0.2


class Abandoned(Exception):
    """Another stream has this one's part now, or nobody wants it any more."""


class Stream:
    """What one thread writes; another may cut it off at any time."""

    def __init__(
        self, data: Path, received: Received, journal: Journal, limits: Limits
    ) -> None:
        """Open the file, which exists.

        Raises:
            OSError: it cannot be opened.
        """
        self._received, self._journal = received, journal
        self._note_every = limits.note_every
        self._file = data.open("r+b", buffering=0)
        self._gate = threading.Lock()
        self.abandoned = False
        self.part: int | None = None
        self._filled = self._noted = 0
        self.last_sign_s = self._noted_s = time.monotonic()

    def begin(self, part: int, start: int) -> int:
        """Go to the first gap of a part that begins at ``start``; return its bytes."""
        with self._gate:
            self._check()
            self.part = part
            self._filled = self._noted = self._received.filled_of(part)
            self._file.seek(start + self._filled)
            self.sign()
        return self._filled

    def sign(self, *, ahead_s: float = 0.0) -> None:
        """Say that the connection is alive, or will be until then."""
        self.last_sign_s = time.monotonic() + ahead_s

    def write(self, chunk: bytes, length: int) -> int:
        """Write what came next of a part of ``length`` bytes; return its bytes now.

        Raises:
            Restart: the part would become longer than it is; nothing is written.
            Abandoned: it is another's now.
            OSError: it cannot be written.
        """
        with self._gate:
            self._check()
            if self._filled + len(chunk) > length:
                raise Restart("the server sent more bytes than were asked for")
            rest = memoryview(chunk)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._filled += len(chunk)
            self.last_sign_s = now = time.monotonic()
            if (
                self._filled - self._noted >= self._note_every
                or self._filled == length
                or now - self._noted_s >= _NOTE_EVERY_S
            ):
                self._note(now)
            return self._filled

    def settle(self) -> None:
        """Note what was written of the part."""
        with self._gate:
            if not self.abandoned and self._filled != self._noted:
                self._note(time.monotonic())

    def abandon(self) -> None:
        """Write nothing any more."""
        with self._gate:
            if self.abandoned:
                return
            try:
                if self._filled != self._noted:
                    self._note(time.monotonic())
            finally:
                self.abandoned = True
                self._file.close()

    def _note(self, now: float) -> None:
        # Bytes first: killed in between, they are loaded again.
        if self.part is not None:
            self._journal.note(self.part, self._filled)
            self._received.note(self.part, self._filled)
        self._noted, self._noted_s = self._filled, now

    def _check(self) -> None:
        if self.abandoned:
            raise Abandoned
