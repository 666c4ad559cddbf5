"""Which thread count decodes fastest here and now: measured, and remembered.

Idle cores as the system counts them may still be slow: a virtual machine's host
can take one away unseen, and threads that spin at a barrier then wait for it
(measured on two cores: 20 ms became 2.9 s). So a few tokens decide.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.runtime import hardware, library
from localkit.runtime.pacing import threads
from localkit.runtime.pacing.calibrations import recall, remember

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.engine.context import Context

# Enough to see a starved core, which costs a factor of ten and more.
_N_TOKENS = 3
# A count is judged by what there is after this long: a starved machine may need
# seconds a token.
_MOST_S = 0.5
# One thread reads 6 GB/s of weights (98 MB a token in 16 ms), so that larger
# models take it seconds; where half the threads are an alternative, it cannot win.
_HEAVY_BYTES = 8 * 2**30
# How far a remembered speed may be off before everything is measured again. One
# idle machine scatters by a tenth; a starved one is off by factors.
_CLOSE = 1.5


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fastest thread count and what was measured to find it."""

    n_threads: int
    seconds_per_token: Mapping[int, float]
    """By thread count; single-stream decode of an empty context."""


def calibrate(
    context: Context, most: int, *, info: ModelInfo, n_gpu_layers: int = 0
) -> Calibration:
    """Return the fastest of ``most`` threads, half of them and 1, and set it.

    What is remembered of this machine and these weights is checked by measuring
    its fastest count alone. A machine that is starved now is measured and used as
    it is, but not remembered. Leaves the KV cache empty.
    """
    key = _key(info, n_gpu_layers)
    known = recall(key)
    counts = thread_counts(most)
    if len(counts) > 2 and info.weights_size > _HEAVY_BYTES:
        counts = counts[:-1]
    seconds = {n: known[n] for n in counts if n in known}
    best = min(seconds, key=seconds.__getitem__, default=0)
    if len(seconds) == len(counts):
        now = _decode_seconds(context, best)
        if 1 / _CLOSE < now / seconds[best] < _CLOSE:
            return _settle(context, {**seconds, best: now})
    seconds = {n: _decode_seconds(context, n) for n in counts}
    if seconds[most] == min(seconds.values()):
        remember(key, {**known, **seconds})
    return _settle(context, seconds)


def thread_counts(most: int) -> tuple[int, ...]:
    """Return the counts worth trying, the largest first."""
    return tuple(sorted({1, max(1, most // 2), most}, reverse=True))


def _settle(context: Context, seconds: dict[int, float]) -> Calibration:
    best = min(seconds, key=seconds.__getitem__)
    context.set_threads(best)
    context.clear()
    return Calibration(best, seconds)


def _decode_seconds(context: Context, n_threads: int) -> float:
    """Return seconds a token: the median of a few, the first left out."""
    context.set_threads(n_threads)
    context.clear()
    steps: list[float] = []
    while len(steps) <= _N_TOKENS and sum(steps) < _MOST_S:
        start = time.perf_counter()
        context.decode([0], start=len(steps), outputs=[0])
        steps.append(time.perf_counter() - start)
    return statistics.median(steps[1:] or steps)


def _key(info: ModelInfo, n_gpu_layers: int) -> str:
    """Return what a speed belongs to: machine, engine, weights."""
    cpu = next(d.description for d in hardware.devices() if d.kind == "CPU")
    return " | ".join(
        (
            f"{cpu}, {threads.usable_cores()} cores",
            f"{library.version()}, {n_gpu_layers} layers on a GPU",
            f"{info.name}, {info.quant}, {info.file_size} bytes",
        )
    )
