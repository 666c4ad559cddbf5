"""When to ask again, and when to give up."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from localkit.errors import Cancelled, RegistryError
from localkit.events import CancelToken, OnProgress, Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.io.http.watch import Deadline

T = TypeVar("T")

_STEP_S = 0.1
_random = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how fast to ask again."""

    n_tries: int = 6
    """Requests in all, the first one counted."""
    shortest_s: float = 0.1
    longest_s: float = 10.0
    """Bounds of one pause; each is about three times the one before."""
    longest_asked_s: float = 60.0
    """Longest pause that a server's ``Retry-After`` gets; beyond it, give up."""

    def pause_s(self, n_failed: int) -> float:
        """Return the pause after so many failures in a row, drawn around the rule."""
        about = self.shortest_s * 3.0 ** max(0, n_failed - 1)
        # Chance keeps a crowd of clients from coming back all at once.
        drawn = min(about, self.longest_s) * _random.uniform(0.75, 1.25)
        return min(max(drawn, self.shortest_s), self.longest_s)


def ask_again(
    ask: Callable[[], T],
    pace: Pace,
    *,
    deadline: Deadline | None = None,
    worth: Callable[[], bool] = lambda: True,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> T:
    """Call ``ask`` until it works, or asking again makes no sense.

    Args:
        ask: One request.
        pace: How often and how fast.
        deadline: When the last try may begin; pauses that a server asks for do not
            count.
        worth: Whether to ask again after no answer at all; False where nobody was
            ever reached: that is told at once.
        on_progress: Told about every pause: nothing is retried in silence.
        cancel: Ends a pause.

    Raises:
        RegistryError: what ``ask`` raised last.
        Cancelled: ``cancel`` was raised.
    """
    n_failed = 0
    while True:
        try:
            return ask()
        except RegistryError as error:
            n_failed += 1
            if not error.retryable or n_failed >= pace.n_tries:
                raise
            if error.status is None and not worth():
                raise
            asked_s = error.retry_after_s
            if asked_s is not None and asked_s > pace.longest_asked_s:
                raise
            pause_s = pace.pause_s(n_failed) if asked_s is None else asked_s
            if deadline is not None:
                if asked_s is not None:
                    deadline.extend(asked_s)
                if deadline.left_s <= pause_s:
                    raise
            on_progress(
                Progress(
                    f"waiting {pause_s:.1f} s, then try {n_failed + 1} of "
                    f"{pace.n_tries}: {error}",
                    0,
                )
            )
        wait(pause_s, cancel)


def wait(seconds: float, cancel: CancelToken | None) -> None:
    """Let time pass.

    Raises:
        Cancelled: ``cancel`` was raised meanwhile.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if cancel is not None and cancel.cancelled:
            raise Cancelled("waiting was stopped", hint="run it again when you like")
        time.sleep(min(left, _STEP_S))
