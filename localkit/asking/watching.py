"""A line that says how far a long call has come, where someone can watch."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.events import OnProgress, Progress

# What is over sooner needs no line.
_SHOW_AFTER_S = 2.0
_UPDATE_EVERY_S = 0.5


@contextmanager
def watched(on_progress: OnProgress | None) -> Iterator[OnProgress]:
    """Yield ``on_progress``, or what writes a line that replaces itself on stderr.

    The line is written to terminals and notebooks alone; its last state stays.
    """
    if on_progress is not None:
        yield on_progress
        return
    line = _Line()
    try:
        yield line.update
    finally:
        line.end()


class _Line:
    def __init__(self) -> None:
        self._start = self._said = time.monotonic()
        self._text = ""
        self._first: float | None = None
        self._can = _is_watched()

    def update(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = progress.done  # taken from a file: no measure of pace
        total = progress.total or 0
        text = f"{progress.step}: {progress.done:.0f}/{total:.0f} {progress.unit}"
        done, elapsed = progress.done - self._first, now - self._start
        if done > 0 and elapsed > 0:
            text += f" · {done / elapsed:.1f} {progress.unit}/s"
        due = self._start + _SHOW_AFTER_S if not self._text else self._said
        if self._can and now >= due + (_UPDATE_EVERY_S if self._text else 0):
            self._write(text)
            self._said = now
        elif self._text:
            self._pending = text

    _pending = ""

    def end(self) -> None:
        if self._text:
            self._write(self._pending or self._text)
            sys.stderr.write("\n")
            sys.stderr.flush()

    def _write(self, text: str) -> None:
        sys.stderr.write("\r" + text.ljust(len(self._text)))
        sys.stderr.flush()
        self._text, self._pending = text, ""


def _is_watched() -> bool:
    """Whether stderr is a terminal, or the output of a notebook's cell."""
    in_notebook = type(sys.stderr).__module__.startswith("ipykernel.")
    return in_notebook or sys.stderr.isatty()
