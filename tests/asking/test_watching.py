"""A line of progress, where someone can watch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from localkit.asking.watching import watched
from localkit.events import Progress

if TYPE_CHECKING:
    import pytest


def test_a_line_is_shown_only_where_someone_can_watch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("localkit.asking.watching.time.monotonic", lambda: now[0])
    for is_terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)  # noqa: B023
        now[0] = 0.0
        with watched(None) as report:
            for done in range(5):
                report(Progress("mapping", done, 4, "rows"))
                now[0] += 1.5
        shown = capsys.readouterr().err
        assert bool(shown) == is_terminal
        if is_terminal:
            assert shown.endswith("mapping: 4/4 rows · 0.7 rows/s\n")
