"""Which thread count decodes fastest here and now, measured."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localkit.runtime.context import Context

# Enough to see a starved core, which costs a factor of ten and more; a second or
# two on a model of 8 billion weights.
_N_TOKENS = 3
# Above this, one thread on a large model would take longer than it can tell.
_FEW_THREADS = 4


def fastest_threads(context: Context, most: int) -> int:
    """Return the faster of ``most`` threads and fewer, and set it.

    Idle cores as the system counts them may still be slow: a virtual machine's
    host can take one away unseen, and threads that spin at a barrier then wait
    for it (measured on two cores: 20 ms became 2.9 s). So a few tokens decide.
    """
    fewer = 1 if most <= _FEW_THREADS else most // 2
    seconds = {n: _decode_seconds(context, n) for n in (most, fewer)}
    best = min(seconds, key=seconds.__getitem__)
    context.set_threads(best)
    context.clear()
    return best


def _decode_seconds(context: Context, n_threads: int) -> float:
    context.set_threads(n_threads)
    context.clear()
    context.decode([0], start=0, outputs=[0])
    start = time.perf_counter()
    for position in range(1, 1 + _N_TOKENS):
        context.decode([0], start=position, outputs=[0])
    return time.perf_counter() - start
