"""How fast a session decodes now, and with how many threads."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.runtime.pacing.governor import ThreadGovernor

# What "now" means for a rate that a person reads.
_WINDOW_S = 5.0


class Pace:
    """Told of every decode; changes the thread count when it has become wrong."""

    def __init__(
        self,
        n_threads: int,
        *,
        set_threads: Callable[[int], None],
        governor: ThreadGovernor | None = None,
    ) -> None:
        """Start with ``n_threads``; without a governor they stay."""
        self.n_threads = n_threads
        self._set_threads = set_threads
        self._governor = governor
        self._recent: deque[tuple[float, int, float]] = deque(maxlen=256)
        self._recent_prefill: deque[tuple[float, int, float]] = deque(maxlen=64)

    def saw(self, n_tokens: int, seconds: float, *, is_decode: bool) -> None:
        """Learn that a step of ``n_tokens`` took so long. Owner thread only."""
        step = time.perf_counter(), n_tokens, seconds
        if not is_decode:
            self._recent_prefill.append(step)
            return
        self._recent.append(step)
        if self._governor is None:
            return
        wanted = self._governor.observe(n_tokens, seconds)
        if wanted is not None:
            self._set_threads(wanted)
            self.n_threads = wanted

    def decode_per_s(self) -> float:
        """Return tokens decoded per second over the last seconds; 0 when idle."""
        return _rate(self._recent)

    def prefill_per_s(self) -> float:
        """Return tokens per second of the steps with prompts, lately; 0 without."""
        return _rate(self._recent_prefill)

    def notes(self, since: float) -> tuple[str, ...]:
        """Return what a result that began at ``since`` should say about the speed.

        Args:
            since: Of `time.perf_counter`.
        """
        note = None if self._governor is None else self._governor.note(since=since)
        return () if note is None else (note,)


def _rate(steps: deque[tuple[float, int, float]]) -> float:
    """Return tokens per second of computing over the last seconds."""
    since = time.perf_counter() - _WINDOW_S
    recent = [step for step in list(steps) if step[0] >= since]
    seconds = sum(step[2] for step in recent)
    return sum(step[1] for step in recent) / seconds if seconds else 0.0
