"""Fewer threads when another process takes a core, more when it is gone.

llama.cpp's threads meet at some 900 barriers a token, so that the one whose core
is taken holds up the others: on two cores with one of them busy, two threads
decode 10 tok/s where one decodes 56. No count is right for long; this watches.

It sees decode steps alone. A window of steps far slower than this batch size's
own best starts a trial with fewer threads, and the faster count stays. After a
while more threads are tried for a few steps, less and less often.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from localkit.runtime.pacing.calibration import thread_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A window ends at this length or this many steps, whichever comes first.
_WINDOW_S = 0.25
_WINDOW_STEPS = 6
_TRIAL_STEPS = 3
# A core taken from two threads costs a factor of ten; depth and noise below two.
_FAR = 2.0
# A trial must win by this much: idle machines scatter by a tenth.
_FASTER = 0.9
_PROBE_AFTER_S = 2.0
_PROBE_AT_MOST_S = 60.0


@dataclass(frozen=True, slots=True)
class _Slowdown:
    """A stretch of time in which fewer threads were the faster ones."""

    kept: float
    """Lowest speed seen, as a fraction of the calibrated one."""
    n_before: int
    n_threads: int
    began: float
    ended: float = math.inf


class ThreadGovernor:
    """Turn the durations of decode steps into a thread count. Not locked."""

    def __init__(
        self,
        calibrated: Mapping[int, float],
        most: int,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Start at the fastest calibrated count.

        Args:
            calibrated: Seconds a token of a single stream by thread count.
            most: Most threads that may be used.
            clock: Seconds; asked once a window.
        """
        self.n_threads = min(calibrated, key=calibrated.__getitem__, default=most)
        self._counts = sorted({*thread_counts(most), *calibrated, self.n_threads})
        # Seconds of the best step by thread count and batch size.
        self._best = {(n, 1): seconds for n, seconds in calibrated.items()}
        self._clock = clock
        self._trial: Literal["fewer", "more"] | None = None
        # The count that a trial started from, and how slow it was there.
        self._home = self.n_threads
        self._slowness_at_home = 1.0
        self._window: list[float] = []
        self._window_s = 0.0
        self._skip_next = False
        self._probe_after_s = _PROBE_AFTER_S
        self._next_probe = clock() + _PROBE_AFTER_S
        self._slowdown: _Slowdown | None = None

    def observe(self, n_tokens: int, seconds: float) -> int | None:
        """Take in one decode step; return the thread count to set, None to keep it.

        Args:
            n_tokens: Tokens in that step, one a stream; no prompts, no failed step.
            seconds: What llama_decode took.
        """
        expected = self._expected(n_tokens)
        slowness = seconds / expected
        far_slower = slowness > _FAR * self._slowness_at_home
        if self._trial == "more" and far_slower:
            return self._go_home()
        if self._skip_next:  # it started the new threads: 6 ms
            self._skip_next = False
            return None
        if seconds >= _WINDOW_S:
            self._window = []  # one such step tells more than quick ones before it
        self._window.append(slowness)
        self._window_s += seconds
        if self._trial is None:
            self._best[self._home, n_tokens] = min(seconds, expected)
        n_steps = _TRIAL_STEPS if self._trial else _WINDOW_STEPS
        if len(self._window) < n_steps and self._window_s < _WINDOW_S:
            return None
        slowness = statistics.median(self._window)
        self._window, self._window_s = [], 0.0
        if self._trial is None:
            return self._watch(slowness)
        if slowness < _FASTER * self._slowness_at_home:
            self._settle()
            return None
        return self._go_home()

    def note(self, *, since: float = math.inf) -> str | None:
        """Return what an answer should say about a slowdown, None without one.

        Args:
            since: When the answer began, on the clock: a slowdown that ended
                later than that is told too.
        """
        slow = self._slowdown
        if slow is None or slow.ended < since:
            return None
        span = "since then"
        if slow.ended < math.inf:
            span = f"for {slow.ended - slow.began:.1f} s"
        return (
            f"decode slowed to {slow.kept:.2g} of its calibrated speed, as when "
            "another process takes a core: "
            f"{slow.n_threads} of {slow.n_before} threads {span}"
        )

    def _expected(self, n_tokens: int) -> float:
        """Return the best seconds of such a step at the home count.

        Of a batch size not seen yet we know that it takes no longer than its
        tokens one by one; of a thread count, no longer than work divided evenly.
        """
        known = self._best.get((self._home, n_tokens))
        if known is not None:
            return known
        single = (
            seconds * max(1.0, n_threads / self._home)
            for (n_threads, size), seconds in self._best.items()
            if size == 1
        )
        return n_tokens * min(single, default=math.inf)

    def _watch(self, slowness: float) -> int | None:
        self._slowness_at_home = slowness
        fewer = [n for n in self._counts if n < self._home]
        if slowness > _FAR and fewer:
            return self._try("fewer", fewer[-1])
        more = [n for n in self._counts if n > self._home]
        if more and self._clock() >= self._next_probe:
            return self._try("more", more[0])
        return None

    def _try(self, trial: Literal["fewer", "more"], n_threads: int) -> int:
        self._trial, self.n_threads, self._skip_next = trial, n_threads, True
        return n_threads

    def _go_home(self) -> int:
        """End a trial that was no faster, once there is nothing left to try."""
        fewer = [n for n in self._counts if n < self.n_threads]
        if self._trial == "fewer" and fewer:
            return self._try("fewer", fewer[-1])
        if self._trial == "more":
            self._next_probe = self._clock() + self._probe_after_s
            self._probe_after_s = min(2 * self._probe_after_s, _PROBE_AT_MOST_S)
        else:  # it is as fast as it gets now: a long context, a slower clock
            for key in self._best:
                if key[0] == self._home:
                    self._best[key] *= self._slowness_at_home
        self._end_trial(self._home)
        return self._home

    def _settle(self) -> None:
        """End a trial that was faster: its count is the new home."""
        now, slow = self._clock(), self._slowdown
        if slow is not None and slow.ended < math.inf:
            slow = None  # an earlier one
        if self._trial == "fewer":
            kept = 1 / self._slowness_at_home
            slow = slow or _Slowdown(kept, self._home, self.n_threads, began=now)
            self._slowdown = replace(
                slow, kept=min(kept, slow.kept), n_threads=self.n_threads
            )
        elif slow is not None and self.n_threads < slow.n_before:
            self._slowdown = replace(slow, n_threads=self.n_threads)
        elif slow is not None:
            self._slowdown = replace(slow, ended=now)
        self._probe_after_s = _PROBE_AFTER_S
        # More threads that were faster ask for more yet, at once.
        self._next_probe = now + (_PROBE_AFTER_S if self._trial == "fewer" else 0)
        self._end_trial(self.n_threads)

    def _end_trial(self, n_threads: int) -> None:
        self._trial, self._slowness_at_home, self._skip_next = None, 1.0, True
        self._home = self.n_threads = n_threads
        self._window, self._window_s = [], 0.0
