"""Keeping a worker: start it anew after a death, once, then back off.

A worker that the system killed for lack of memory, or that one bad request took
down, deserves another. One that dies again at once would only load for ever.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from localkit.errors import WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.events import CancelToken
    from localkit.runtime.isolation.worker import Worker

SETTLED_S: Final = 60.0
"""A worker that lived this long has put its predecessor's death behind it."""
FIRST_PAUSE_S: Final = 10.0
"""Wait after a second death; each further one doubles it."""
LONGEST_PAUSE_S: Final = 300.0
_STEP_S = 0.05


class Keeper:
    """Hands out one model's living worker."""

    def __init__(
        self, name: str, worker: Worker, start: Callable[[CancelToken | None], Worker]
    ) -> None:
        """Take the first worker, and what starts and loads another."""
        self._name = name
        self._worker = worker
        self._start = start
        self._born_at = time.monotonic()
        self._n_deaths = 0
        self._last_death = 0.0
        # Held while a worker is started: it is started once, whoever asks.
        self._lock = threading.Lock()

    @property
    def present(self) -> Worker:
        """The worker there is, alive or not."""
        return self._worker

    def living(self, cancel: CancelToken | None = None) -> Worker:
        """Return the worker, after starting another where it has died.

        Raises:
            WorkerDied: it died more than once lately; says when to ask again.
            LocalkitError: what loading the model again raises.
        """
        if self._worker.died_at is None:
            return self._worker
        # In steps, for Ctrl-C to get through.
        while not self._lock.acquire(timeout=_STEP_S):
            pass
        try:
            if self._worker.died_at is not None:
                self._replace(self._worker.died_at, cancel)
            return self._worker
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the worker, one that is being started too."""
        while not self._lock.acquire(timeout=_STEP_S):
            pass
        try:
            self._worker.close()
        finally:
            self._lock.release()

    def _replace(self, died_at: float, cancel: CancelToken | None) -> None:
        if died_at > self._last_death:
            settled = died_at - self._born_at > SETTLED_S
            self._n_deaths = 1 if settled else self._n_deaths + 1
            self._last_death = died_at
        pause = self._last_death + self._pause_s() - time.monotonic()
        if pause > 0:
            msg = f"the worker of {self._name} died {self._n_deaths} times in a row"
            raise WorkerDied(msg, hint=f"ask again in {pause:.0f} s, or load it anew")
        try:
            self._worker = self._start(cancel)
        except WorkerDied:
            self._n_deaths += 1
            self._last_death = time.monotonic()
            raise
        self._born_at = time.monotonic()

    def _pause_s(self) -> float:
        if self._n_deaths < 2:
            return 0.0
        return min(FIRST_PAUSE_S * 2.0 ** (self._n_deaths - 2), LONGEST_PAUSE_S)
