"""Several pieces of work side by side: the engine computes them in its slots.

A thread waits for each piece of work; the engine's own thread does it. Outcomes
are kept by those threads, which no Ctrl-C reaches, so that none is lost between
here and a reader.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from localkit.events import CancelToken
from localkit.runtime.pool.pooled import use

if TYPE_CHECKING:
    from localkit.chat.result import Result
    from localkit.runtime.protocol import Session

T = TypeVar("T")

# Ctrl-C and a raised token are seen at the end of a step.
_STEP_S = 0.05
# Waiting at the engine's door, so that a slot that becomes free is taken at once.
_AHEAD = 2

OnText = Callable[[str], None]
Work = Callable[[CancelToken, OnText], T]
"""Called on a thread of its own, with its token and where its text goes."""


class Said(NamedTuple):
    """A piece of text of the work in this place."""

    place: int
    text: str


class Outcome(NamedTuple, Generic[T]):
    """What work returned or raised."""

    value: T | None
    error: BaseException | None


class SideBySide(Generic[T]):
    """Work in progress: iterate for what it says, and for the place of what ends.

    An iteration may be taken up again after an exception.
    """

    def __init__(
        self,
        works: Sequence[Work[T]],
        session: Session,
        *,
        cancel: CancelToken | None = None,
    ) -> None:
        """Keep what to do: as much at once as keeps the engine of ``session`` busy."""
        self.outcomes: list[Outcome[T] | None] = [None] * len(works)
        """By place, each once it has ended."""
        self._works = works
        self._cancel = cancel
        self._tokens = [CancelToken() for _ in works]
        self._events: queue.SimpleQueue[Said | int | None] = queue.SimpleQueue()
        self._n_submitted = 0
        self._n_left = len(works)
        self._begun: set[int] = set()
        self._closed = False
        self._lock = threading.Lock()  # of the two above
        n_threads = max(1, min(session.fingerprint.n_seq_max + _AHEAD, len(works)))
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="localkit-ask")

    def __iter__(self) -> SideBySide[T]:
        """Return itself: events are handed out once."""
        return self

    def __next__(self) -> Said | int:
        """Return the next text, or the place of what has ended."""
        while self._n_submitted < len(self._works) and not self._closed:
            # Ctrl-C in here may submit twice; the second time does nothing.
            self._pool.submit(self._run, self._n_submitted)
            self._n_submitted += 1
        while True:
            if self._cancel is not None and self._cancel.cancelled:
                self.stop()
            try:
                event = self._events.get(timeout=_STEP_S)
            except queue.Empty:
                if self._n_left and not self._closed:
                    continue
                if not self._events.empty():
                    continue
                raise StopIteration from None
            if event is None:
                raise StopIteration
            return event

    def stop(self) -> None:
        """Raise the token of each; they end soon, with what they have."""
        for token in self._tokens:
            token.cancel()

    def close(self) -> None:
        """Stop and wait; what has not begun never does."""
        self.stop()
        self._closed = True
        self._pool.shutdown(cancel_futures=True)

    def _run(self, place: int) -> None:
        with self._lock:
            if place in self._begun:
                return
            self._begun.add(place)

        def say(text: str) -> None:
            self._events.put(Said(place, text))

        try:
            value = self._works[place](self._tokens[place], say)
            self.outcomes[place] = Outcome(value, None)
        except BaseException as error:  # handed to the reader
            self.outcomes[place] = Outcome(None, error)
        self._events.put(place)
        with self._lock:
            self._n_left -= 1
            if not self._n_left:
                self._events.put(None)


def each(
    works: Sequence[Work[T]], session: Session, *, cancel: CancelToken | None
) -> list[T]:
    """Return what each returns, in order; the first error stops the others."""
    values = []
    with use(session), closing(SideBySide(works, session, cancel=cancel)) as all_of:
        for event in all_of:
            if isinstance(event, int):
                _raise(all_of.outcomes[event])
        for outcome in all_of.outcomes:
            _raise(outcome)
            values.append(outcome.value)  # type: ignore[union-attr]
    return values  # type: ignore[return-value]


class AnsweringMany:
    """Answers in progress: iterate for (place, text), then read `results`.

    The first error stops the others and is raised. Ctrl-C ends each answer with
    what it has.
    """

    def __init__(
        self,
        works: Sequence[Work[Result]],
        session: Session,
        *,
        cancel: CancelToken | None,
    ) -> None:
        """Keep what to do; nothing starts before it is iterated."""
        self._works = works
        self._session = session
        self._cancel = cancel
        self._asked: SideBySide[Result] | None = None
        self._held = ExitStack()

    def __iter__(self) -> AnsweringMany:
        """Return itself: text is handed out once."""
        return self

    def __next__(self) -> Said:
        """Return the next piece of text and the place of its question."""
        asked = self._start()
        while True:
            try:
                event = next(asked)
                if isinstance(event, Said):
                    return event
                _raise(asked.outcomes[event])
            except KeyboardInterrupt:
                asked.stop()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Stop every answer; `results` has what they said."""
        asked = self._start()
        asked.stop()
        for _ in asked:
            pass
        self._held.close()

    def __del__(self) -> None:
        """Stop what nobody reads any more."""
        if self._asked is not None:
            self._asked.stop()

    @property
    def results(self) -> list[Result]:
        """Every answer, in the order of the questions; waits for them."""
        for _ in self:
            pass
        outcomes = self._start().outcomes
        for outcome in outcomes:
            _raise(outcome)
        return [one.value for one in outcomes if one is not None and one.value]

    def _start(self) -> SideBySide[Result]:
        if self._asked is None:
            self._held.enter_context(use(self._session))
            self._asked = SideBySide(self._works, self._session, cancel=self._cancel)
            self._held.callback(self._asked.close)
        return self._asked


def _raise(outcome: Outcome[T] | None) -> None:
    """Raise the error of an outcome, if it has one."""
    if outcome is not None and outcome.error is not None:
        raise outcome.error
