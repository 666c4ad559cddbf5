"""One thread that makes every engine call for one model.

Two threads on one llama.cpp context abort or deadlock, and a SIGINT that lands
inside a ctypes callback is lost. So the thread here owns the context. It runs
calls, one at a time, and turns the loop that computes answers side by side; a
call runs when everything that was asked for before it has ended.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from localkit.errors import SessionClosed
from localkit.events import CancelToken
from localkit.runtime.engine.reading import Reading
from localkit.runtime.engine.switching import short_switch_interval
from localkit.runtime.isolation import forks

T = TypeVar("T")
P = TypeVar("P")

Emit = Callable[[P], bool]
"""Hands a value to the reader; False when nobody wants more."""

_owners: set[Owner] = set()


class Loop(Protocol):
    """Work that the thread advances step by step."""

    def has_work(self, *, before: int | None) -> bool:
        """Return whether a step would do something for requests numbered lower."""

    def step(self, *, before: int | None) -> None:
        """Advance everything in progress once; admit requests numbered lower."""

    def must_abort(self, token: CancelToken) -> bool:
        """Return whether the engine call in progress is worth stopping for it."""

    def interrupt(self) -> None:
        """End everything in progress as it stands."""

    def end(self, error: BaseException) -> None:
        """End everything in progress and waiting with ``error``."""


class Owner:
    """The thread, its calls, its loop, and how they end."""

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
            rest: Called on the thread when it has nothing to do while there are
                other owners: gives back what would be in their way.
        """
        forks.check()
        self._name = name
        self._abort = abort
        self._rest = rest
        self._loop: Loop | None = None
        self._numbers = itertools.count()
        self._calls: deque[_Call] = deque()
        self._current: CancelToken | None = None
        self._finish: Callable[[], None] | None = None
        # Protects the three fields above: a stop must never hit the next call.
        self._ready = threading.Condition(threading.RLock())
        self._thread = threading.Thread(
            target=self._work, name=f"localkit-{name}", daemon=True
        )
        _owners.add(self)
        self._thread.start()

    def turn(self, loop: Loop) -> None:
        """Advance ``loop`` from now on."""
        self._loop = loop

    def call(
        self, work: Callable[[CancelToken], T], *, cancel: CancelToken | None = None
    ) -> T:
        """Run ``work`` alone on the thread and return what it returns."""
        token = cancel or CancelToken()
        reading: Reading[T, None] = self.start(lambda _: work(token), cancel=token)
        return reading.wait()

    def start(
        self,
        work: Callable[[Emit[P]], T],
        *,
        cancel: CancelToken | None = None,
        ahead: int = 0,
    ) -> Reading[T, P]:
        """Queue ``work`` to run alone and return a reading of what it emits.

        Args:
            work: Called on the thread, with a function that emits a value.
            cancel: Raise it to stop the work.
            ahead: How many values may wait for the reader; 0 is no bound.

        Raises:
            SessionClosed: the thread was told to end.
        """
        forks.check()  # before a lock that another thread held at the fork
        reading: Reading[T, P] = Reading(cancel, stop=self.stop, ahead=ahead)
        with self._ready:
            self._check_open()
            self._calls.append(_Call(next(self._numbers), reading, work))
            self._ready.notify()
        return reading

    def enqueue(self, put: Callable[[int], None]) -> None:
        """Let ``put`` hand the loop a request with the number it is given.

        Raises:
            SessionClosed: the thread was told to end.
        """
        forks.check()
        with self._ready:
            self._check_open()
            put(next(self._numbers))
            self._ready.notify()

    def stop(self, token: CancelToken) -> None:
        """Make the engine call in progress return soon, if it is for ``token``."""
        with self._ready:
            loop = self._loop
            if self._current is token or (
                self._current is None and loop is not None and loop.must_abort(token)
            ):
                self._abort(True)

    def close(self, finish: Callable[[], None], *, wait: bool = True) -> None:
        """Stop what runs and waits, run ``finish``, end the thread.

        Args:
            finish: Called on the thread, the last thing there.
            wait: Return when all that is done.
        """
        if forks.is_child():
            return  # the thread and the engine are the parent's
        with self._ready:
            if self._finish is not None:
                return
            self._finish = finish
            if self._current is not None:
                self._current.cancel()
            self._abort(True)
            self._ready.notify()
        _owners.discard(self)
        if wait and threading.current_thread() is not self._thread:
            self._thread.join()

    def _check_open(self) -> None:
        if self._finish is not None:
            raise self._closed()

    def _closed(self) -> SessionClosed:
        return SessionClosed(f"{self._name} was unloaded", hint="load it again")

    def _work(self) -> None:
        while self._wait():
            with short_switch_interval():
                while self._advance():
                    pass
            if len(_owners) > 1:
                self._rest()
        for call in self._calls:
            call.refuse(self._closed())
        if self._loop is not None:
            self._loop.interrupt()
            self._loop.end(self._closed())
        if self._finish is not None:
            self._finish()

    def _wait(self) -> bool:
        """Wait for something to do; False when it is time to end."""
        with self._ready:
            while not (self._calls or self._finish or self._loop_has_work()):
                self._ready.wait()
            return self._finish is None

    def _advance(self) -> bool:
        """Run one call, or turn the loop once; False when there is nothing to do."""
        with self._ready:
            if self._finish is not None:
                return False
            self._abort(False)
            steps = self._loop_has_work()
            if not (steps or self._calls):
                return False
            call = None if steps else self._calls.popleft()
            self._current = None if call is None else call.cancel
        if call is None:
            self._step()
        else:
            call.run()
            self._current = None
        return True

    def _loop_has_work(self) -> bool:
        # A call waits for what was asked before it, not for what came after.
        before = self._calls[0].number if self._calls else None
        return self._loop is not None and self._loop.has_work(before=before)

    def _step(self) -> None:
        loop = self._loop
        if loop is None:
            return
        before = self._calls[0].number if self._calls else None
        try:
            loop.step(before=before)
        except BaseException as error:  # handed to every reader
            loop.end(error)


class _Call:
    """Work that runs alone, with its place in the order of requests."""

    def __init__(
        self, number: int, reading: Reading[T, P], work: Callable[[Emit[P]], T]
    ) -> None:
        self.number = number
        self.cancel = reading.cancel
        self.run: Callable[[], None] = lambda: reading.run(work)
        self.refuse: Callable[[BaseException], None] = lambda error: reading.end(
            error=error
        )
