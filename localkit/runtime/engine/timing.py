"""Prefill and decode timed by llama-bench's protocol. Owner thread only."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.runtime.engine.context import Context
    from localkit.runtime.engine.scheduler import Scheduler
    from localkit.runtime.protocol import Session


def random_tokens(session: Session, n_tokens: int) -> list[int]:
    """Return BOS, if the model wants one, then random tokens, as llama-bench."""
    tokens = random.choices(range(session.n_vocab), k=n_tokens)  # noqa: S311
    if session.adds_bos and session.bos is not None and tokens:
        tokens[0] = session.bos
    return tokens


def prefill_seconds(
    scheduler: Scheduler, context: Context, tokens: Sequence[int]
) -> float:
    """Return seconds to compute ``tokens`` from an empty KV cache."""
    with scheduler.emptied():
        start = time.perf_counter()
        context.prefill(tokens, output=True)
        return time.perf_counter() - start


def decode_seconds(
    scheduler: Scheduler, context: Context, tokens: Sequence[int], *, depth: int
) -> float:
    """Return seconds to decode ``tokens[depth:]`` one by one after the rest."""
    with scheduler.emptied():
        context.prefill(tokens[:depth], output=False)
        start = time.perf_counter()
        for position in range(depth, len(tokens)):
            context.decode([tokens[position]], start=position, outputs=[0])
        return time.perf_counter() - start
