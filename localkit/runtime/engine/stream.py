"""An answer in progress, as its caller sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localkit.runtime.engine.generation import Answer
    from localkit.runtime.engine.jobs import Job
    from localkit.runtime.engine.reading import Reading
    from localkit.runtime.values import Generation, Piece


class LlamaStream:
    """Pieces of one answer; nothing is computed before `start` or iteration."""

    def __init__(
        self,
        answer: Answer,
        reading: Reading[None, Piece],
        enqueue: Callable[[Job], None],
    ) -> None:
        """Keep what is needed to start."""
        self._answer = answer
        self._reading = reading
        self._enqueue = enqueue
        self._started = False

    def __del__(self) -> None:
        """Stop the answer that nobody can read any more."""
        if self._started and not self._answer.ended:
            self._reading.cancel.cancel()

    def start(self) -> None:
        """Queue the answer now; iteration does so otherwise."""
        if not self._started:
            self._started = True
            self._answer.ask()
            self._enqueue(self._answer)

    def __iter__(self) -> Iterator[Piece]:
        """Yield a piece a token; ends early, without raising, when cancelled."""
        self.start()
        yield from self._reading
        _ = self._reading.result

    def wait(self) -> Generation:
        """Compute the answer without reading its pieces, and return it.

        Cheaper than iterating: nothing is woken for a token.
        """
        self.start()
        self._reading.wait()
        return self.generation

    @property
    def generation(self) -> Generation:
        """Return the answer so far; final once iteration has ended."""
        return self._answer.so_far()
