"""One thread that makes every engine call for one model.

Two threads on one llama.cpp context abort or deadlock, and a SIGINT that lands
inside a ctypes callback is lost. So the thread here owns the context; callers
queue work and wait in steps short enough for Ctrl-C to get through. On Ctrl-C
the work is cancelled, waited for, and `KeyboardInterrupt` goes on up.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from localkit.errors import SessionClosed
from localkit.events import CancelToken

T = TypeVar("T")
P = TypeVar("P")

# Ctrl-C is seen at the end of a step; 50 ms feels immediate and costs nothing.
_STEP_S = 0.05
# How long a cancelled call may take to come back before it is given up on.
_GRACE_S = 5.0

Emit = Callable[[P], bool]
"""Hands a value to the reader; False when nobody wants more."""

_owners: set[Owner] = set()


class Owner:
    """The thread, its queue, and how both end."""

    def __init__(
        self,
        name: str,
        *,
        abort: Callable[[bool], None],
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the thread.

        Args:
            name: What errors and the thread are called.
            abort: ``abort(True)`` must make the engine call in progress return
                soon; ``abort(False)`` is called before the next one starts.
            rest: Called on the thread after each call while there are other
                owners: gives back what would be in their way.
        """
        self._name = name
        self._abort = abort
        self._rest = rest
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._waiting: list[CancelToken] = []
        self._current: CancelToken | None = None
        self._closed = False
        # Protects the three fields above: a stop must never hit the next job.
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._work, name=f"localkit-{name}", daemon=True
        )
        _owners.add(self)
        self._thread.start()

    def call(
        self, work: Callable[[CancelToken], T], *, cancel: CancelToken | None = None
    ) -> T:
        """Run ``work`` on the thread and return what it returns."""

        def silent(_: Emit[None]) -> T:
            return work(reading.cancel)

        reading: Reading[T, None] = self.start(silent, cancel=cancel)
        for _ in reading:
            pass
        return reading.result

    def start(
        self,
        work: Callable[[Emit[P]], T],
        *,
        cancel: CancelToken | None = None,
        ahead: int = 0,
        pace_s: float = 0.0,
    ) -> Reading[T, P]:
        """Queue ``work`` and return a reading of what it emits.

        Args:
            work: Called on the thread, with a function that emits a value.
            cancel: Raise it to stop the work.
            ahead: How many values may wait for the reader; 0 is no bound.
            pace_s: Seconds the reader sleeps once it has read all there is.

        Raises:
            SessionClosed: the thread was told to end.
        """
        token = cancel or CancelToken()
        reading: Reading[T, P] = Reading(token, self._stop, ahead=ahead, pace_s=pace_s)

        def job() -> None:
            with self._lock:
                self._waiting.remove(token)
                self._current = token
                self._abort(False)
            try:
                reading.run(work)
            finally:
                with self._lock:
                    self._current = None
                if len(_owners) > 1:
                    self._rest()

        with self._lock:
            if self._closed:
                msg = f"{self._name} was unloaded"
                raise SessionClosed(msg, hint="load it again")
            self._waiting.append(token)
            self._jobs.put(job)
        return reading

    def close(self, finish: Callable[[], None]) -> None:
        """Stop what runs and waits, run ``finish``, end the thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for token in (*self._waiting, *filter(None, [self._current])):
                token.cancel()
            if self._current is not None:
                self._abort(True)
            self._jobs.put(finish)
            self._jobs.put(None)
        _owners.discard(self)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _stop(self, token: CancelToken) -> None:
        with self._lock:
            if self._current is token:
                self._abort(True)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


class Reading(Generic[T, P]):
    """Values that a job emits, then its result."""

    def __init__(
        self,
        cancel: CancelToken,
        stop: Callable[[CancelToken], None],
        *,
        ahead: int,
        pace_s: float,
    ) -> None:
        """Make one for a job that has not started."""
        self.cancel = cancel
        self._stop = stop
        self._room = threading.Semaphore(ahead) if ahead else None
        self._pace_s = pace_s
        self._values: queue.SimpleQueue[P | _End] = queue.SimpleQueue()
        self._done = threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None

    def run(self, work: Callable[[Emit[P]], T]) -> None:
        """Do the work; called on the owner's thread."""
        try:
            self._result = work(self._emit)
        except BaseException as error:  # handed to the reader
            self._error = error
        finally:
            self._done.set()
            self._values.put(_End())

    def __iter__(self) -> Iterator[P]:
        """Yield values until the job ends; cancels the job when left early."""
        try:
            yield from self._read()
        except BaseException:
            self.cancel.cancel()
            self._stop(self.cancel)
            self._done.wait(_GRACE_S)
            raise

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

    @property
    def result(self) -> T:
        """What the job returned, once it ended; raises what it raised."""
        while not self._done.wait(_STEP_S):
            pass
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def _emit(self, value: P) -> bool:
        while not self.cancel.cancelled:
            if self._room is None or self._room.acquire(timeout=_STEP_S):
                self._values.put(value)
                return True
        return False


class _End:
    """Stands behind the last value."""
