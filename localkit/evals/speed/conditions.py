"""What the machine did while something was timed, and when a figure is noisy."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psutil

from localkit.evals.comparing.row import Spread
from localkit.evals.statistics.estimates import quartiles
from localkit.runtime.pacing.busy import BusyMeter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NOISY_SPREAD = 0.10
"""Interquartile range over the median from which a figure is called noisy."""
BUSY_CORES = 0.25
"""Cores kept busy by other processes from which the machine was not quiet."""
_LEAST_S = 0.2
"""Shortest time over which busy cores are told: the system counts in 10 ms."""
CLOCK_DROP = 0.10
"""Share of the fastest clock by which a slower one shows: heat, or power saved."""


class Conditions:
    """Watches the machine from its making on."""

    def __init__(self) -> None:
        """Start to watch."""
        self._start = time.perf_counter()
        self._others = BusyMeter()

    def taken(self) -> dict[str, float]:
        """Return what stands beside a sample: busy cores and the clock, if told."""
        found = {}
        if time.perf_counter() - self._start >= _LEAST_S:
            found["busy_cores"] = self._others.cores()
        clock = clock_mhz()
        if clock is not None:
            found["clock_mhz"] = clock
        return found


def clock_mhz() -> float | None:
    """Return the fastest core's clock now; None where the platform keeps it secret.

    Read right after work, it is the clock the work ran at. In a virtual machine it
    is usually a constant.
    """
    try:
        cores = psutil.cpu_freq(percpu=True)
    # What psutil raises differs by platform and is documented for none.
    except (OSError, NotImplementedError, AttributeError, RuntimeError):
        return None
    return max((core.current for core in cores or ()), default=0.0) or None


def spread(samples: Iterable[float]) -> Spread:
    """Return median and quartiles of repeated timings."""
    taken = tuple(samples)
    middle = quartiles(taken)
    return Spread(middle.median, middle.low, middle.high, taken)


def noise(samples: Sequence[Mapping[str, Any]], spreads: Mapping[str, Spread]) -> str:
    """Return why figures are noisy, in words; empty when they are not.

    Args:
        samples: Of each repetition, with what `Conditions` took down.
        spreads: Its figures by name.
    """
    reasons = [
        f"{name} spread {100 * figures.relative:.0f} %"
        for name, figures in spreads.items()
        if figures.relative > NOISY_SPREAD
    ]
    if any(len(figures.samples) == 1 for figures in spreads.values()):
        reasons.append("one repetition tells no spread")
    busy = max((sample.get("busy_cores", 0.0) for sample in samples), default=0.0)
    if busy > BUSY_CORES:
        reasons.append(f"other processes kept up to {busy:.1f} cores busy")
    clocks = [sample["clock_mhz"] for sample in samples if "clock_mhz" in sample]
    if clocks and min(clocks) < (1 - CLOCK_DROP) * max(clocks):
        low, high = min(clocks) / 1000, max(clocks) / 1000
        reasons.append(f"the processor's clock was {low:.1f} to {high:.1f} GHz")
    return "; ".join(reasons)
