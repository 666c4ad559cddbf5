"""Text on its way to a view: many streams, few messages."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EVERY_S = 0.15
"""Seven messages a second for all streams of a widget together: with what else a
busy second draws, fewer than fifteen (N2)."""
MAX_CHARS = 400_000
"""A stream that has become longer is not shown further; its end says so."""


class Feed:
    """Collects what streams add and sends it together: ``{"kind": "text", "add": …}``.

    ``add`` maps the name of a stream to the text that it grew by.
    """

    def __init__(
        self,
        send: Callable[[Mapping[str, Any]], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send by ``send``, which may be called from any thread."""
        self._send = send
        self._clock = clock
        self._pending: dict[str, list[str]] = {}
        self._n_chars: dict[str, int] = {}
        self._not_before = clock()
        self._lock = threading.Lock()

    def add(self, stream: str, text: str) -> None:
        """Take text of one stream; send all that waits if a message is due."""
        with self._lock:
            n_chars = self._n_chars.get(stream, 0)
            self._n_chars[stream] = n_chars + len(text)
            if n_chars < MAX_CHARS:
                self._pending.setdefault(stream, []).append(text)
            if self._clock() >= self._not_before:
                self._flush()

    def flush(self) -> None:
        """Send what waits; call when a stream has ended."""
        with self._lock:
            self._flush()

    def forget(self, stream: str) -> None:
        """Begin a stream again."""
        with self._lock:
            self._n_chars.pop(stream, None)
            self._pending.pop(stream, None)

    def _flush(self) -> None:
        if self._pending:
            add = {name: "".join(parts) for name, parts in self._pending.items()}
            self._pending = {}
            self._not_before = self._clock() + EVERY_S
            self._send({"kind": "text", "add": add})
