"""How fast this machine is just now: a probe that puts speeds into relation.

A saved speed belongs to the machine and the load it was measured under. Both runs
time the same two things beside the cell, and speeds are compared as multiples of them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from localkit.regression.records import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

_SIDE = 64
"""Matrices so small that no BLAS shares them out: threads that wait for each other
on a busy machine made larger ones 60 times slower."""
_MATRICES = 32
_COPY_BYTES = 32 << 20
"""More than a cache holds."""
_EACH_S = 0.1


def measure() -> Probe:
    """Return the mean speeds of two tenths of a second.

    Multiplying matrices is what prefill does, copying memory what decode does; the
    mean, because an answer meets the same load from start to end.
    """
    import numpy as np

    ones = np.ones((_MATRICES, _SIDE, _SIDE), dtype=np.float32)
    product = np.empty_like(ones)
    here = np.zeros(_COPY_BYTES, dtype=np.uint8)
    there = np.empty_like(here)
    return Probe(
        matmul_per_s=_per_s(lambda: np.matmul(ones, ones, out=product)) * _MATRICES,
        copy_per_s=_per_s(lambda: np.copyto(there, here)) * _COPY_BYTES,
    )


def _per_s(work: Callable[[], object]) -> float:
    """Return the repetitions a second."""
    work()
    start, n_done = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < _EACH_S:
        work()
        n_done += 1
    return max(n_done, 1) / max(taken, 1e-9)
