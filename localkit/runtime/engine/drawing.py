"""The next tokens of several answers, drawn side by side where that takes long.

A chain without top_k sorts the whole vocabulary: 2.8 ms for 262k tokens
(gemma-3-270m, temperature 0.8), so sixteen of them 45 ms beside a decode of 130 ms;
with top_k 40 it is 0.3 ms each. On two threads those sixteen answers come to 118
tok/s instead of 88. Chains know nothing of each other, so what is drawn does not
depend on the number of threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    Wish = tuple[Any, int]
    """A chain of samplers, and where its logits stood in the batch."""

LEAST_VOCAB: Final = 100_000
"""Below it a token takes less than the threads' taking turns (49k: 0.1 ms)."""


class Drawing:
    """Threads that draw for one context; none before the first time. Owner only."""

    def __init__(self, engine: Any, context: Any, n_vocab: int) -> None:
        """Start nothing.

        Args:
            engine: Binding whose calls let go of the GIL.
            context: Where the logits lie.
            n_vocab: Length of a row of them.
        """
        self._engine = engine
        self._context = context
        self.pays = n_vocab >= LEAST_VOCAB
        """Whether there is anything to gain."""
        self._pool: ThreadPoolExecutor | None = None

    def draw(self, wishes: Sequence[Wish], n_threads: int) -> list[int]:
        """Return the token of each wish; the logits must have been asked for before."""
        n_parts = min(n_threads, len(wishes))
        if n_parts > 1 and self._pool is None:
            self._pool = ThreadPoolExecutor(
                n_threads - 1, thread_name_prefix="localkit-draw"
            )
        parts = [wishes[first::n_parts] for first in range(n_parts)]
        others = [
            self._pool.submit(self._draw, part) for part in parts[1:] if self._pool
        ]
        drawn = [self._draw(parts[0]), *(other.result() for other in others)]
        tokens = [0] * len(wishes)
        for first, part in enumerate(drawn):
            tokens[first::n_parts] = part
        return tokens

    def _draw(self, wishes: Sequence[Wish]) -> list[int]:
        sample = self._engine.llama_sampler_sample
        return [int(sample(chain, self._context, index)) for chain, index in wishes]

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
