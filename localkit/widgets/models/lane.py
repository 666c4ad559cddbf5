"""Work that is done one after the other, with how far it has come and a way to stop."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from localkit.errors import Cancelled, LocalkitError
from localkit.evals.report.figures import size
from localkit.render.pace import Pace
from localkit.render.text import one_line
from localkit.widgets.folders import without_folders
from localkit.widgets.work import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.events import CancelToken, OnProgress, Progress

    Job = Callable[[OnProgress, CancelToken], str]
    """Does it, and returns what to say when it is done."""

EVERY_S: Final = 0.4
"""Between two reports of progress: two lanes send five messages a second."""
N_SAID: Final = 4
"""Outcomes that stay on view."""


class Lane:
    """A queue of named jobs."""

    def __init__(
        self,
        *,
        on_change: Callable[[], None],
        on_progress: Callable[[], None],
        on_error: Callable[[BaseException], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Have nothing to do.

        Args:
            on_change: Called when work begins, and when it ends in whatever way.
            on_progress: Called now and then while it goes on.
            on_error: Told what a job raised, but for `Cancelled`.
            clock: Seconds.
        """
        self._on_change = on_change
        self._on_progress = on_progress
        self._on_error = on_error
        self._clock = clock
        self._worker = Worker(on_error=on_error, on_change=on_change)
        self._lock = threading.Lock()
        self._names: deque[str] = deque()
        self._said: deque[str] = deque(maxlen=N_SAID)
        self._what = ""
        self._pace = Pace(clock)
        self._not_before = 0.0

    @property
    def busy(self) -> bool:
        """Whether something is being done or waits."""
        return self._worker.busy

    @property
    def said(self) -> tuple[str, ...]:
        """How the last jobs ended, the latest last."""
        with self._lock:
            return tuple(self._said)

    def do(self, what: str, job: Job) -> None:
        """Put a job at the end of the queue; ``what`` names it: ``pulling smollm2``."""
        what = one_line(without_folders(what), limit=300)
        with self._lock:
            self._names.append(what)
        self._worker.do(lambda cancel: self._run(what, job, cancel))
        self._on_change()

    def stop(self) -> None:
        """End the job at hand, soon, and forget those that wait."""
        with self._lock:
            self._names.clear()
        self._worker.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether all is done, waiting ``timeout`` seconds for it at most."""
        return self._worker.wait(timeout)

    def state(self) -> dict[str, Any]:
        """Return what is being done, for a view."""
        with self._lock:
            pace = self._pace
            text, share = "", None
            if pace.latest is not None:
                text, share = pace.sentence() + _speed(pace), pace.share
            return {
                "what": self._what,
                "text": text,
                "share": None if share is None else round(share, 3),
                "waiting": list(self._names),
                "said": list(self._said),
            }

    def _run(self, what: str, job: Job, cancel: CancelToken) -> None:
        with self._lock:
            if self._names and self._names[0] == what:
                self._names.popleft()
            self._what, self._pace = what, Pace(self._clock)
            self._not_before = 0.0
        self._on_change()
        said = f"{what}: failed"
        try:
            said = job(self._progress, cancel)
        except Cancelled:
            said = f"{what}: stopped"
        except LocalkitError as error:
            said = f"{what}: failed: {error}"
            raise
        finally:
            with self._lock:
                self._what = ""
                self._said.append(one_line(without_folders(said), limit=300))
            self._on_change()

    def _progress(self, progress: Progress) -> None:
        with self._lock:
            self._pace.update(progress)
            now = self._clock()
            due = now >= self._not_before
            if due:
                self._not_before = now + EVERY_S
        if due:
            self._on_progress()


def _speed(pace: Pace) -> str:
    """Return the pace of bytes: `` · 12 MiB/s``."""
    per_s, latest = pace.per_s, pace.latest
    if per_s is None or latest is None or latest.unit != "B":
        return ""
    return f" · {size(per_s)}/s"
