"""The clock of a widget that shows what goes on: it runs only while it is looked at."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_VIEWS = 16
"""Views that are told apart; one more takes the place of the first."""


class Ticker:
    """Calls a function every so often, in a thread of its own, while a view is open.

    A view says when it opens and when it is taken out of the page. A browser that
    is closed says nothing: the ticker then goes on until `close`.
    """

    def __init__(
        self,
        tick: Callable[[], None],
        *,
        every_s: float,
        on_error: Callable[[BaseException], None],
    ) -> None:
        """Rest until the first view opens.

        Args:
            tick: Called at once when the ticker starts, then every ``every_s``.
            every_s: Seconds between two calls.
            on_error: Told what ``tick`` raised; the ticker goes on.
        """
        self._tick = tick
        self._every_s = every_s
        self._on_error = on_error
        self._views: dict[str, None] = {}
        self._paused = False
        self._ended: threading.Event | None = None
        self._lock = threading.Lock()

    @property
    def runs(self) -> bool:
        """Whether it ticks."""
        return self._ended is not None

    @property
    def paused(self) -> bool:
        """Whether somebody asked it to rest."""
        return self._paused

    def open(self, view: str) -> None:
        """Take note of a view that has opened."""
        with self._lock:
            self._views.pop(view, None)
            if len(self._views) >= MAX_VIEWS:
                del self._views[next(iter(self._views))]
            self._views[view] = None
            self._start_or_end()

    def leave(self, view: str) -> None:
        """Take note of a view that is gone."""
        with self._lock:
            self._views.pop(view, None)
            self._start_or_end()

    def pause(self, paused: bool) -> None:
        """Rest, or go on."""
        with self._lock:
            self._paused = paused
            self._start_or_end()

    def close(self) -> None:
        """Forget every view."""
        with self._lock:
            self._views.clear()
            self._start_or_end()

    def _start_or_end(self) -> None:
        wanted = bool(self._views) and not self._paused
        if wanted and self._ended is None:
            self._ended = threading.Event()
            threading.Thread(
                target=self._run,
                args=(self._ended,),
                name="localkit-ticker",
                daemon=True,
            ).start()
        elif not wanted and self._ended is not None:
            # Not waited for: whoever closes may hold what a tick waits for.
            self._ended.set()
            self._ended = None

    def _run(self, ended: threading.Event) -> None:
        while not ended.is_set():
            try:
                self._tick()
            except Exception as error:
                self._on_error(error)
            ended.wait(self._every_s)
