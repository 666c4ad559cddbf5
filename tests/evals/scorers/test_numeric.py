from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localkit.evals.scorers.numbers import numbers_in
from localkit.evals.scorers.numeric import Numeric
from tests.evals.scorers.judged import judged, worth


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("$1,234.50", ["1234.5"]),
        ("-$5 or $-5", ["-5", "-5"]),
        ("1e3 and 2.5E-1", ["1000", "1/4"]),
        ("3/4", ["3/4"]),
        ("1 1/2 cups, ½ spoon, 2½", ["3/2", "1/2", "5/2"]),
        ("1,234,567", ["1234567"]),
        ("1\u202f234\u00a0567", ["1234567"]),
        ("The answer is 12.", ["12"]),
        ("x=-4, (−7)", ["-4", "-7"]),
        ("3-5", ["3", "5"]),
        ("- 3 apples", ["3"]),
        ("4 - 3 = 1", ["4", "3", "1"]),
        ("50%", ["50"]),
        ("1,2,3", ["1", "2", "3"]),
        ("18th", ["18"]),
        (".5", ["1/2"]),
        ("1/0", []),
        ("1e99999", []),
        ("9" * 500, []),
        ("none", []),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, values: list[str]) -> None:
    assert [value for _, value in numbers_in(text)] == [Fraction(one) for one in values]


def test_a_comma_may_stand_before_the_decimals() -> None:
    assert worth(Numeric(decimals=","), "Das macht 1.234,50 €", "1234,5") == 1


@given(st.integers(), st.integers(min_value=0, max_value=99))
def test_a_number_written_is_the_number_read(whole: int, cents: int) -> None:
    [(_, value)] = numbers_in(f"Total: {whole:,}.{cents:02d}")
    sign = "-" if whole < 0 else ""
    assert value == Fraction(f"{sign}{abs(whole)}.{cents:02d}")


def test_the_last_number_counts_unless_the_first_is_asked_for() -> None:
    assert worth(Numeric(), "2 + 2 = 4", "4") == 1
    assert worth(Numeric(select="first"), "4 because 2 + 2", "4") == 1
    assert worth(Numeric(), "He has 3 + 4 = 7 dollars.", "3 + 4 makes\n#### 7") == 1


def test_numbers_are_exact_unless_a_tolerance_is_given() -> None:
    assert worth(Numeric(), "0.10", "1/10") == 1
    assert worth(Numeric(), "123456789", "123456790") == 0
    assert worth(Numeric(), "0.333", "1/3") == 0
    assert worth(Numeric(rel_tol=0.01), "0.333", "1/3") == 1
    assert worth(Numeric(abs_tol=0.5), "10.5", "10", "99") == 1
    assert worth(Numeric(abs_tol=0.5), "10.6", "10") == 0


def test_E2_no_number_is_wrong_in_an_answer_and_unscored_in_a_target() -> None:
    assert judged(Numeric(), "seven", "7").why == "no number in the answer"
    assert worth(Numeric(), "seven", "7") == 0
    assert worth(Numeric(), "7", "seven", "7") == 1
    score = judged(Numeric(), "7", "seven")
    assert (score.value, score.why) == (None, "no number in the target")


def test_E5_a_hostile_answer_takes_no_time() -> None:
    started = time.monotonic()
    for text in ("1,234" * 5000, "9" * 100_000, "1 1/" * 5000, "1e" * 5000):
        numbers_in(text)
    assert time.monotonic() - started < 10
