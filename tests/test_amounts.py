from __future__ import annotations

import math

import pytest

from localkit.amounts import parse_duration
from localkit.errors import UsageError


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("300", 300),
        (" 300 ", 300),
        ("250ms", 0.25),
        ("0", 0),
        (0, 0),
        (10, 10),
        ("-1", math.inf),
        ("-5m", math.inf),
        (-1, math.inf),
    ],
)
def test_durations_read_as_ollama_reads_keep_alive(
    asked: str | float, seconds: float
) -> None:
    assert parse_duration(asked) == seconds


@pytest.mark.parametrize(
    "asked", ["", "-", "m", "5 m", "5d", "five", "1m-", "nan", "²s", "inf", math.nan]
)
def test_what_is_no_duration_is_refused(asked: str | float) -> None:
    with pytest.raises(UsageError, match="is no duration") as caught:
        parse_duration(asked)
    assert "5m" in caught.value.hint
