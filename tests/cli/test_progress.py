from __future__ import annotations

import pytest

from localkit.cli.progress import Pace, duration, log_lines
from localkit.events import Progress


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_time_left_follows_the_pace_so_far(clock: Clock) -> None:
    pace = Pace(clock=clock)
    pace.update(Progress("hashing", 0, 100))
    clock.now += 10
    pace.update(Progress("hashing", 25, 100))
    assert pace.left_s == pytest.approx(30)
    assert pace.sentence() == "hashing · 25% · 10 s · about 30 s left"


def test_time_left_is_not_guessed_from_the_first_instant(clock: Clock) -> None:
    pace = Pace(clock=clock)
    pace.update(Progress("hashing", 50, 100))
    clock.now += 0.1
    assert pace.left_s is None


def test_what_was_there_at_the_beginning_does_not_count_for_the_pace(
    clock: Clock,
) -> None:
    pace = Pace(clock=clock)
    pace.update(Progress("asking", 60, 100))
    clock.now += 10
    assert pace.left_s is None
    pace.update(Progress("asking", 70, 100))
    assert pace.left_s == pytest.approx(30)


def test_an_unknown_total_has_no_share(clock: Clock) -> None:
    pace = Pace(clock=clock)
    pace.update(Progress("reading", 50))
    assert pace.share is None
    assert pace.sentence() == "reading · 0.0 s"


def test_a_log_has_a_line_for_every_step_past_two_seconds(clock: Clock) -> None:
    lines: list[str] = []
    with log_lines(lines.append, clock=clock) as on_progress:
        on_progress(Progress("short", 0, 2))
        clock.now += 1
        on_progress(Progress("short", 2, 2))
        on_progress(Progress("long", 0, 10))
        for done in range(1, 11):
            clock.now += 3
            on_progress(Progress("long", done, 10))
    assert lines[0] == "long · 10% · 3.0 s · about 27 s left"
    assert lines[-1] == "long: 30 s"
    assert len(lines) == 3


def test_a_log_says_which_step_an_error_ended(clock: Clock) -> None:
    lines: list[str] = []

    def fail_halfway() -> None:
        with log_lines(lines.append, clock=clock) as on_progress:
            on_progress(Progress("long", 0, 10))
            clock.now += 5
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert lines == ["long: stopped after 5.0 s"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.21, "3.2 s"), (48.4, "48 s"), (245, "4 min 05 s"), (7500, "2 h 05 min")],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
