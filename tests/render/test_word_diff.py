"""What two texts say differently."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from localkit.render.text import clean
from localkit.render.word_diff import (
    MAX_PIECES,
    word_diff,
    word_diff_html,
    word_diff_plain,
)
from tests.render.payloads import PAYLOADS


def test_a_replaced_word_is_shown_between_what_stayed() -> None:
    assert word_diff("It is Paris now.", "It is Lyon now.") == [
        ("=", "It is "),
        ("-", "Paris"),
        ("+", "Lyon"),
        ("=", " now."),
    ]


def test_words_replaced_in_a_row_are_one_change() -> None:
    assert word_diff_plain("a b c d", "a x y d") == "a [-b c-]{+x y+} d"


def test_the_same_text_is_one_piece_and_nothing_is_none() -> None:
    assert word_diff("the same", "the same") == [("=", "the same")]
    assert word_diff("", "") == []
    assert word_diff("", "new") == [("+", "new")]
    assert word_diff("old", "") == [("-", "old")]


def test_signs_of_a_script_without_blanks_are_compared_one_by_one() -> None:
    assert word_diff_plain("法国的首都", "德国的首都") == "[-法-]{+德+}国的首都"


def test_a_change_reads_without_colour() -> None:
    html = word_diff_html("one two", "one three")
    assert "<del" in html
    assert "line-through" in html
    assert "<ins" in html
    assert "underline" in html


@settings(max_examples=40)
@given(st.text(max_size=60), st.text(max_size=60))
def test_the_pieces_make_up_both_texts(left: str, right: str) -> None:
    found = word_diff(left, right)
    assert "".join(text for op, text in found if op != "+") == clean(left)
    assert "".join(text for op, text in found if op != "-") == clean(right)


def test_N1_texts_in_a_diff_are_text() -> None:
    for payload in PAYLOADS:
        html = word_diff_html(payload, f"{payload} and {payload}")
        assert "<script" not in html.lower()
        assert "<img" not in html.lower()


def test_a_loop_of_words_and_a_long_text_do_not_take_long() -> None:
    started = time.monotonic()
    word_diff("the " * 3000, "a " * 3000)
    shuffled = [f"w{(7 * i) % 997}" for i in range(20 * MAX_PIECES)]
    found = word_diff(" ".join(shuffled), " ".join(reversed(shuffled)))
    assert time.monotonic() - started < 3
    assert found[-1][0] in "+="
