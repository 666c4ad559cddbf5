"""Prefill and decode timed by the protocols of llama.cpp's own tools.

One stream as llama-bench (``-p``, ``-n``, ``-d``), several side by side as
llama-batched-bench (``-npp``, ``-ntg``, ``-npl``).
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from localkit.runtime.values import StreamTimes

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.runtime.engine.context import Context
    from localkit.runtime.engine.scheduler import Scheduler


class _Filled(NamedTuple):
    """The KV cache behind so many random tokens."""

    depth: int
    cells: bytes


class Stopwatch:
    """Times what one context computes. Owner thread only, but for its making."""

    def __init__(
        self,
        scheduler: Scheduler,
        context: Context,
        *,
        n_vocab: int,
        bos: int | None,
    ) -> None:
        """Take over the context while something is timed.

        Args:
            scheduler: Lends the context.
            context: Computes.
            n_vocab: Random tokens are below it.
            bos: Begins every text, as llama-bench has it; None: nothing does.
        """
        self._scheduler = scheduler
        self._context = context
        self._n_vocab = n_vocab
        self._bos = bos
        self._filled: _Filled | None = None

    def prefill(self, n_tokens: int, *, depth: int) -> float:
        """Return seconds to compute ``n_tokens`` behind ``depth`` others."""
        tokens = self._random(n_tokens, begins=depth == 0)
        with self._scheduler.emptied():
            self._fill(depth)
            start = time.perf_counter()
            self._context.prefill(tokens, start=depth, output=True)
            return time.perf_counter() - start

    def decode(self, n_tokens: int, *, depth: int) -> float:
        """Return seconds to decode ``n_tokens`` one by one behind ``depth`` others."""
        tokens = self._random(n_tokens, begins=depth == 0)
        with self._scheduler.emptied():
            self._fill(depth)
            start = time.perf_counter()
            for position, token in enumerate(tokens, depth):
                self._context.decode([token], start=position, outputs=[0])
            return time.perf_counter() - start

    def streams(self, n_prompt: int, n_gen: int, n_streams: int) -> StreamTimes:
        """Return seconds of both phases for ``n_streams`` texts side by side.

        Each has a prompt of its own; a decode step advances all of them.
        """
        context = self._context
        sequences = list(range(n_streams))
        prompts = [self._random(n_prompt) for _ in sequences]
        steps = [self._random(n_streams, begins=False) for _ in range(n_gen)]
        flat = [
            (token, position, sequence)
            for sequence, prompt in enumerate(prompts)
            for position, token in enumerate(prompt)
        ]
        with self._scheduler.emptied():
            start = time.perf_counter()
            for at in range(0, len(flat), context.n_batch):
                part = flat[at : at + context.n_batch]
                context.decode(
                    [token for token, _, _ in part],
                    start=[position for _, position, _ in part],
                    sequences=[sequence for _, _, sequence in part],
                    outputs=[
                        index
                        for index, (_, position, _) in enumerate(part)
                        if position == n_prompt - 1
                    ],
                )
            middle = time.perf_counter()
            for position, tokens in enumerate(steps, n_prompt):
                context.decode(
                    tokens,
                    start=[position] * n_streams,
                    sequences=sequences,
                    outputs=sequences,
                )
            return StreamTimes(middle - start, time.perf_counter() - middle)

    def end_of_context(
        self, n_tokens: int, *, n_sequences: int, before: Callable[[], None]
    ) -> int:
        """Compute ``n_tokens`` where a full context ends; return what was before them.

        What fills it is computed once for one sequence and copied to the others,
        so a context of 32768 tokens costs 2048 of them at 16 sequences. llama.cpp
        computes over all cells in use, whoever they belong to.

        Args:
            n_tokens: At most a micro-batch.
            n_sequences: As many as the context was made for.
            before: Called when the context is full, before they are computed.
        """
        context = self._context
        share = (context.n_ctx - n_tokens) // n_sequences
        with self._scheduler.emptied():
            n_filled = share
            if share:
                context.prefill(self._random(share), output=False)
                cells = context.save_sequence(0)
                for sequence in range(1, n_sequences):
                    if not context.load_sequence(sequence, cells):
                        break  # a recurrent model has no cells to fill
                    n_filled += share
                del cells
            before()
            tokens = self._random(n_tokens, begins=not share)
            context.prefill(tokens, start=share, output=True)
            return n_filled

    def _random(self, n_tokens: int, *, begins: bool = True) -> list[int]:
        """Return random tokens, as llama-bench; BOS first where a text begins."""
        tokens = random.choices(range(self._n_vocab), k=n_tokens)  # noqa: S311
        if begins and self._bos is not None and tokens:
            tokens[0] = self._bos
        return tokens

    def _fill(self, depth: int) -> None:
        """Put ``depth`` random tokens before what is timed.

        They are computed once: their cells are kept, as llama-bench does, until
        another depth is asked for. That is a second copy of the KV cache.
        """
        if not depth:
            return
        filled = self._filled
        if filled is not None and filled.depth == depth:
            if self._context.load_sequence(0, filled.cells):
                return
            self._context.clear()
        self._filled = None  # before there are two of them
        self._context.prefill(self._random(depth), output=False)
        self._filled = _Filled(depth, self._context.save_sequence(0))
