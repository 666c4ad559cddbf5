"""What other processes do to the cores."""

from __future__ import annotations

import time

import psutil


class BusyMeter:
    """Cores that other processes kept busy since the meter was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._busy, self._mine = self._seconds()

    def cores(self) -> float:
        """Return the mean over the time so far."""
        elapsed = time.perf_counter() - self._start
        busy, mine = self._seconds()
        others = (busy - self._busy) - (mine - self._mine)
        return max(0.0, others / elapsed) if elapsed > 0 else 0.0

    @staticmethod
    def _seconds() -> tuple[float, float]:
        """Return busy CPU seconds of the machine, and of this process."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        # Linux counts a guest's time twice: in `guest` and in `user`.
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        mine = psutil.Process().cpu_times()
        return sum(times) - idle - guests, mine.user + mine.system
