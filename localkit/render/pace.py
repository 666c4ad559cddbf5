"""How far work has come and how long it may still take, in words.

A reporter gets `Progress` values, several steps one after the other; `Pace` turns
them into elapsed time and time left.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.events import Progress

QUIET_S = 2.0
"""A step shorter than this is not worth a line."""
# The first report of a step may come at once; dividing by it says nothing.
_MIN_SHARE, _MIN_ELAPSED_S = 0.02, 1.0


@dataclass(slots=True)
class Pace:
    """How long the step at hand has run, and how long it may still take."""

    clock: Callable[[], float] = time.monotonic
    step: str = ""
    latest: Progress | None = None
    _since: float = field(default=0.0)
    _stored: float = field(default=0.0)
    """Part that was done when the step began: stored, or fetched before."""

    def update(self, progress: Progress) -> None:
        """Take a report; another step's name starts the clock again."""
        is_new = progress.step != self.step
        self.latest = progress
        if is_new:
            self.step, self._since = progress.step, self.clock()
            self._stored = self.share or 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the step began."""
        return self.clock() - self._since

    @property
    def share(self) -> float | None:
        """Part done, 0 to 1; None when the total is unknown."""
        if self.latest is None or not self.latest.total:
            return None
        return min(1.0, self.latest.done / self.latest.total)

    @property
    def left_s(self) -> float | None:
        """Seconds left at the pace so far; None while that is anybody's guess."""
        share, elapsed = self.share, self.elapsed_s
        if share is None or elapsed < _MIN_ELAPSED_S:
            return None
        # What was there at the beginning took none of this time.
        gained = share - self._stored
        if gained <= 0 or gained < _MIN_SHARE * (1 - self._stored):
            return None
        return elapsed * (1 - share) / gained

    @property
    def per_s(self) -> float | None:
        """Units a second of the step so far; None while that is anybody's guess."""
        share, elapsed = self.share, self.elapsed_s
        if share is None or self.latest is None or elapsed < _MIN_ELAPSED_S:
            return None
        return (share - self._stored) * (self.latest.total or 0) / elapsed

    @property
    def is_worth_a_line(self) -> bool:
        """Whether the step has run so long that its end should be noted."""
        return self.latest is not None and self.elapsed_s >= QUIET_S

    def sentence(self) -> str:
        """Return the step, part done, elapsed time and time left on one line."""
        parts = [self.step]
        if self.share is not None:
            parts.append(f"{self.share:.0%}")
        parts.append(duration(self.elapsed_s))
        if self.left_s is not None and self.share != 1:
            parts.append(f"about {duration(self.left_s)} left")
        return " · ".join(parts)

    def closing(self) -> str:
        """Return the line that a finished step leaves behind."""
        return f"{self.step}: {duration(self.elapsed_s)}"


def duration(seconds: float) -> str:
    """Return seconds as a reader wants them: ``3.2 s``, ``48 s``, ``4 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
