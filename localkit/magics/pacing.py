"""How often a cell's output may be replaced."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FASTEST_S = 0.08
"""12 updates a second: more is not seen, and each is a message to every client."""
CHARS_PER_S = 20_000
"""Every update sends the whole text again; Jupyter's server lets 1 MB/s through."""


class Throttle:
    """Says when the next update is due: later, the longer the text has become."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Let the first update through at once."""
        self._clock = clock
        self._not_before = clock()

    def due(self, n_chars: int) -> bool:
        """Return whether an update of ``n_chars`` may be sent now; count it if so."""
        now = self._clock()
        if now < self._not_before:
            return False
        self._not_before = now + max(FASTEST_S, n_chars / CHARS_PER_S)
        return True
