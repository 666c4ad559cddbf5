"""The thread that works for a widget, so that its cell can return."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from localkit.errors import Cancelled
from localkit.events import CancelToken

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[CancelToken], None]


class Worker:
    """Does jobs one after the other; `stop` ends the one at hand and forgets the rest.

    The thread lives while there is work, and dies with the process.
    """

    def __init__(
        self,
        *,
        on_error: Callable[[BaseException], None],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Do nothing yet.

        Args:
            on_error: Told what a job raised, but for `Cancelled`.
            on_change: Called in the thread when work begins and when all is done.
        """
        self._on_error = on_error
        self._on_change = on_change
        self._jobs: deque[Job] = deque()
        self._cancel = CancelToken()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._busy = False
        self._idle = threading.Event()
        self._idle.set()

    @property
    def busy(self) -> bool:
        """Whether a job is being done or waits."""
        return self._busy

    def do(self, job: Job) -> None:
        """Put a job at the end of the queue; it gets the token that `stop` raises."""
        with self._lock:
            self._jobs.append(job)
            if self._thread is None:
                self._idle.clear()
                self._busy = True
                self._cancel = CancelToken()
                self._thread = threading.Thread(
                    target=self._run, name="localkit-widget", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """End the job at hand, soon, and forget those that wait."""
        with self._lock:
            self._jobs.clear()
            self._cancel.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether all is done, waiting ``timeout`` seconds for it at most."""
        return self._idle.wait(timeout)

    def _run(self) -> None:
        self._tell()
        failed: Exception | None = None
        while True:
            with self._lock:
                if not self._jobs:
                    self._thread, self._busy = None, False
                    break
                job = self._jobs.popleft()
                if self._cancel.cancelled:
                    self._cancel = CancelToken()
                cancel = self._cancel
            if failed is not None:
                self._on_error(failed)
                failed = None
            try:
                job(cancel)
            except Cancelled:
                pass
            except Exception as error:
                failed = error
        self._tell()
        if failed is not None:  # after the change, which draws everything anew
            self._on_error(failed)
        with self._lock:
            if not self._busy:  # else another thread has begun
                self._idle.set()

    def _tell(self) -> None:
        try:
            self._on_change()
        except Exception as error:  # or no job would ever be done again
            self._on_error(error)
