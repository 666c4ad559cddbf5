"""The thread that unloads models which nobody used for a while."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A clock that was set, or a machine that slept, is noticed after this long.
_LONGEST_SLEEP_S = 3600.0


class KeepAlive:
    """Sleeps until the next model is due; there is no thread while none is."""

    def __init__(
        self,
        lock: threading.RLock,
        *,
        next_due: Callable[[], float],
        sweep: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """Start nothing yet.

        Args:
            lock: Protects what ``next_due`` reads; it is called with it held.
            next_due: When to sweep next, on the clock; infinite: no need.
            sweep: Unloads what is due; called without the lock.
            clock: Seconds.
        """
        self._wake = threading.Condition(lock)
        self._next_due, self._sweep, self._clock = next_due, sweep, clock
        self._thread: threading.Thread | None = None
        self._planned = math.inf

    def look(self, due: float) -> None:
        """Take note, with the lock held, that something is due at ``due``."""
        if due >= self._planned or math.isinf(due):
            return
        self._planned = due
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(
                target=self._run, name="localkit-keep-alive", daemon=True
            )
            self._thread.start()
        self._wake.notify()

    def wake(self) -> None:
        """Look again now, with the lock held: there may be nothing left to wait for."""
        self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._planned = self._next_due()
                if math.isinf(self._planned):
                    self._thread = None
                    return
                left = self._planned - self._clock()
                if left > 0:
                    self._wake.wait(min(left, _LONGEST_SLEEP_S))
                    continue
            self._sweep()
