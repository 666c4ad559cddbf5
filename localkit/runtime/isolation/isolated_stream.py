"""An answer in progress in a worker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from localkit.errors import LocalkitError
from localkit.events import Timings, Usage
from localkit.runtime.isolation.worker_values import generation_in, piece_in
from localkit.runtime.values import FinishReason, Generation, Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localkit.runtime.isolation.call import Call
    from localkit.runtime.isolation.worker_wire import Message


class IsolatedStream:
    """Pieces of one answer; nothing is computed before it is started or iterated."""

    def __init__(
        self,
        ask: Callable[[str, Callable[[Message], None]], Call],
        *,
        n_prompt: int,
        seed: int,
    ) -> None:
        """Keep what is needed to start."""
        self._ask = ask
        self._n_prompt = n_prompt
        self._seed = seed
        self._call: Call | None = None
        self._final: Generation | None = None
        self._pieces: list[Piece] = []
        self._finish: FinishReason = "interrupted"
        self._asked = self._first = self._last = time.perf_counter()

    def start(self) -> None:
        """Ask for the answer now; iteration does so otherwise."""
        if self._call is None:
            self._call = self._ask("stream", self._end)

    def __iter__(self) -> Iterator[Piece]:
        """Yield a piece a token; ends early, without raising, when cancelled."""
        self.start()
        if self._call is None:  # for the type checker: it was started above
            return
        try:
            for message in self._call.answers:
                piece = piece_in(message.head["piece"])
                self._take(piece)
                yield piece
            _ = self._call.answers.result
        except LocalkitError:
            self._finish = "error"
            raise

    def wait(self) -> Generation:
        """Compute the answer without reading its pieces, and return it."""
        if self._call is None:
            self._call = self._ask("answer", self._end)
        self._call.answers.wait()
        return self.generation

    @property
    def generation(self) -> Generation:
        """Return the answer so far; final once iteration has ended.

        Of an answer whose worker died, what had arrived; ``finish_reason`` is
        then ``error``.
        """
        if self._final is not None:
            return self._final
        tokens = tuple(piece.token for piece in self._pieces)
        logprobs = [piece.logprob for piece in self._pieces]
        return Generation(
            text="".join(piece.text for piece in self._pieces),
            tokens=tokens,
            finish_reason=self._finish,
            usage=Usage(n_prompt=self._n_prompt, n_generated=len(tokens)),
            timings=Timings(
                prefill_s=self._first - self._asked,
                decode_s=self._last - self._first,
                ttft_s=self._first - self._asked,
            ),
            seed=self._seed,
            logprobs=tuple(logprob for logprob in logprobs if logprob is not None),
        )

    def _take(self, piece: Piece) -> None:
        self._last = time.perf_counter()
        if not self._pieces:
            self._first = self._last
        self._pieces.append(piece)

    def _end(self, message: Message) -> None:
        self._final = generation_in(message.head["generation"])
