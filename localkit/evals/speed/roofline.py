"""How fast decode could be at most: every token reads all weights once.

A bound for one stream on a processor: memory bandwidth over the bytes that a token
reads, as gguf-parser and llama-roofline have it. The bandwidth is what threads of
numpy read here, so it is measured, and a little below what the hardware could do.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

_SIZE = 256 << 20
"""Bytes read at once: more than any cache that these machines share."""
_ROUNDS = 5


class Roofline(NamedTuple):
    """Where memory ends the speed of decode."""

    bandwidth_per_s: float
    """Bytes read per second, all threads together."""

    def tok_per_s_bound(self, n_bytes: int) -> float:
        """Return the most tokens per second of a model whose token reads ``n_bytes``.

        That is the size of the weights, and of the KV cache where it is filled. Of a
        mixture of experts a token reads less than the file.
        """
        return self.bandwidth_per_s / n_bytes


def measure_roofline(n_threads: int, *, size: int = _SIZE) -> Roofline:
    """Read memory with so many threads; the best of five rounds, 0.5 s or so."""
    # Written once, or all pages are the same page of zeros.
    data = np.ones(size // 8, np.uint64)
    parts = np.array_split(data, n_threads)
    best = 0.0
    with ThreadPoolExecutor(n_threads) as pool:
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            # The reduction nearest to memory: 20 GB/s where a sum gave 7 (measured).
            list(pool.map(np.max, parts))
            best = max(best, data.nbytes / (time.perf_counter() - start))
    return Roofline(best)
