"""What has come of a blob so far: the board that all its threads look at."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.store.registry.parts import Parts


class Received:
    """Counts of bytes per part, which parts are to do, and how it ends.

    Safe to use from many threads.
    """

    def __init__(self, parts: Parts, filled: Sequence[int]) -> None:
        """Start with what is on the disk already."""
        self._parts = parts
        self._changed = threading.Condition()
        self._filled = list(filled)
        self._total = sum(filled)
        self._whole = 0  # parts before this one are complete
        self._todo = [part for part, n in enumerate(filled) if n < parts.length(part)]
        self._advance()
        self.sha256: str | None = None
        self.error: BaseException | None = None
        self.stopped = False

    @property
    def total(self) -> int:
        """Bytes that have come, the earlier ones included."""
        return self._total

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.stopped or self.sha256 is not None

    def filled(self) -> list[int]:
        """Return the bytes of each part."""
        with self._changed:
            return list(self._filled)

    def filled_of(self, part: int) -> int:
        """Return the bytes of one part."""
        return self._filled[part]

    def take(self) -> int | None:
        """Return the first part that nobody loads; None when there is none left."""
        with self._changed:
            return None if self.stopped or not self._todo else self._todo.pop(0)

    def give_back(self, part: int) -> None:
        """Let another stream load a part."""
        with self._changed:
            self._todo.append(part)
            self._todo.sort()

    def note(self, part: int, n_bytes: int) -> None:
        """Say that the first ``n_bytes`` of a part are written."""
        with self._changed:
            self._total += n_bytes - self._filled[part]
            self._filled[part] = n_bytes
            self._advance()
            self._changed.notify_all()

    def prefix(self) -> int:
        """Return the bytes before the first gap."""
        first = self._whole
        if first == len(self._parts):
            return self._parts.size
        return self._parts.start(first) + self._filled[first]

    def wait_for_prefix(self, n_bytes: int) -> int:
        """Wait for ``n_bytes`` before the first gap, or the end; return how many."""
        wanted = min(n_bytes, self._parts.size)
        with self._changed:
            self._changed.wait_for(lambda: self.stopped or self.prefix() >= wanted)
            return self.prefix()

    def wait_for_total(self, n_bytes: int) -> None:
        """Wait until ``n_bytes`` have come in all, or for the end."""
        wanted = min(n_bytes, self._parts.size)
        with self._changed:
            self._changed.wait_for(lambda: self.ended or self._total >= wanted)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end so long; return whether it has come."""
        with self._changed:
            return self._changed.wait_for(lambda: self.ended, timeout_s)

    def pause(self, seconds: float) -> None:
        """Wait so long, or until it is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self.stopped, seconds)

    def finish(self, sha256: str) -> None:
        """Say what all bytes hash to: the good end."""
        with self._changed:
            self.sha256 = sha256
            self._changed.notify_all()

    def stop(self, error: BaseException | None = None) -> None:
        """End it: with the first error, or because the caller wants to."""
        with self._changed:
            if not self.ended:
                self.error = error
            self.stopped = True
            self._changed.notify_all()

    def _advance(self) -> None:
        while self._whole < len(self._parts) and self._filled[
            self._whole
        ] == self._parts.length(self._whole):
            self._whole += 1
