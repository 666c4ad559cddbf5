"""Progress in words where nothing can be redrawn: the lines of a log."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from localkit.render.pace import QUIET_S, Pace, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localkit.events import OnProgress, Progress

__all__ = ["QUIET_S", "Pace", "duration", "log_lines"]

_EVERY_S = 15.0


@contextmanager
def log_lines(
    write: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
) -> Iterator[OnProgress]:
    """Write a line when a step has run for two seconds, now and then, and at its end.

    For output that is kept rather than watched: pipes, logs, ``make demo`` in CI.
    """
    pace, said_at = Pace(clock), 0.0

    def close_step() -> None:
        if pace.is_worth_a_line:
            write(pace.closing())

    def on_progress(progress: Progress) -> None:
        nonlocal said_at
        if progress.step != pace.step:
            close_step()
            said_at = 0.0
        pace.update(progress)
        due = QUIET_S if said_at == 0.0 else said_at + _EVERY_S
        if pace.elapsed_s >= due and pace.share != 1:
            said_at = pace.elapsed_s
            write(pace.sentence())

    try:
        yield on_progress
    except BaseException:
        if pace.is_worth_a_line:
            write(f"{pace.step}: stopped after {duration(pace.elapsed_s)}")
        raise
    close_step()
