"""Values that pass from the owner thread to a caller, then a result or an error.

The caller waits in steps short enough for Ctrl-C to get through. On Ctrl-C the
work is cancelled, waited for, and `KeyboardInterrupt` goes on up.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from localkit.events import CancelToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
P = TypeVar("P")

# Ctrl-C is seen at the end of a step; 50 ms feels immediate and costs nothing.
_STEP_S = 0.05
# How long cancelled work may take to come back before it is given up on.
_GRACE_S = 5.0


class Reading(Generic[T, P]):
    """One piece of work as its caller sees it."""

    def __init__(
        self,
        cancel: CancelToken | None = None,
        *,
        stop: Callable[[CancelToken], None] = lambda _: None,
        ahead: int = 0,
        pace_s: float = 0.0,
    ) -> None:
        """Make one for work that has not started.

        Args:
            cancel: Raise it to stop the work.
            stop: Called with ``cancel`` to hurry what was cancelled.
            ahead: How many values may wait for the reader; 0 is no bound.
            pace_s: Seconds the reader sleeps once it has read all there is.
        """
        self.cancel = cancel or CancelToken()
        self._stop = stop
        self._room = threading.Semaphore(ahead) if ahead else None
        self._pace_s = pace_s
        self._values: queue.SimpleQueue[P | _End] = queue.SimpleQueue()
        self._done = threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None

    # The owner thread's side.

    def run(self, work: Callable[[Callable[[P], bool]], T]) -> None:
        """Do the work, which emits values, and keep what it returns or raises."""
        try:
            result = work(self.put)
        except BaseException as error:  # handed to the reader
            self.end(error=error)
        else:
            self.end(result)

    def put(self, value: P) -> bool:
        """Hand ``value`` over; False when nobody wants more."""
        while not self.cancel.cancelled:
            if self._room is None or self._room.acquire(timeout=_STEP_S):
                self._values.put(value)
                return True
        return False

    def end(
        self, result: T | None = None, *, error: BaseException | None = None
    ) -> None:
        """Say that no more values come."""
        self._result, self._error = result, error
        self._done.set()
        self._values.put(_End())

    # The caller's side.

    def __iter__(self) -> Iterator[P]:
        """Yield values until the work ends; cancels it when left early."""
        with _Hurried(self.give_up):
            yield from self._read()

    def _read(self) -> Iterator[P]:
        while True:
            if self.cancel.cancelled:
                self._stop(self.cancel)
            try:
                value = self._values.get(timeout=_STEP_S)
            except queue.Empty:
                continue
            if isinstance(value, _End):
                return
            if self._room is not None:
                self._room.release()
            yield value
            if self._pace_s and self._values.empty():
                self._done.wait(self._pace_s)

    def wait(self, *, leave: bool = False) -> T:
        """Wait for the end without reading values; returns as `result` does.

        Args:
            leave: On Ctrl-C go at once: the work, cancelled, ends by itself.
        """
        with _Hurried(self.abandon if leave else self.give_up):
            while not self._done.wait(_STEP_S):
                if self.cancel.cancelled:
                    self._stop(self.cancel)
        return self.result

    @property
    def result(self) -> T:
        """What the work returned, once it ended; raises what it raised."""
        while not self._done.wait(_STEP_S):
            pass
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def give_up(self) -> None:
        """Cancel the work and wait for it, a few seconds at most."""
        self.abandon()
        self._done.wait(_GRACE_S)

    def abandon(self) -> None:
        """Cancel the work."""
        self.cancel.cancel()
        self._stop(self.cancel)


class _Hurried:
    """Gives the work up when the caller leaves early: Ctrl-C, a dropped iterator."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up = give_up

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            self._give_up()


class _End:
    """Stands behind the last value."""
