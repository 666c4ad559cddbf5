"""Exact, includes, regex and length: what a text is or holds."""

from __future__ import annotations

import time

import pytest

from localkit.evals.scorers.exact import Exact
from localkit.evals.scorers.includes import Includes
from localkit.evals.scorers.length import Length
from localkit.evals.scorers.pattern import Regex
from tests.evals.scorers.judged import judged, worth


def test_exact_counts_no_spaces_around_and_nothing_else() -> None:
    assert worth(Exact(), " Paris\n", "London", "Paris") == 1
    assert worth(Exact(), "two  words", "two words") == 1
    assert worth(Exact(), "paris", "Paris") == 0
    assert worth(Exact(), "Paris.", "Paris") == 0
    assert worth(Exact(), "", "Paris") == 0


def test_exact_leaves_out_what_it_is_told_to() -> None:
    squad = Exact(ignore_case=True, ignore_punctuation=True, ignore_articles=True)
    assert worth(squad, "The U.S.", "us") == 1
    assert worth(squad, "„Straße“!", "STRASSE") == 1
    assert worth(Exact(ignore_punctuation=True), "Ja。", "Ja") == 1


def test_exact_sees_one_letter_in_two_encodings_of_it() -> None:
    assert worth(Exact(), "Cafe\u0301", "Caf\u00e9") == 1


@pytest.mark.parametrize(
    ("said", "target", "value"),
    [
        ("The capital is **Paris**.", "paris", 1),
        ("The answer is 14.", "4", 0),
        ("4", "4.", 1),
        ("I know C++ well", "C++", 1),
        ("I know C well", "C++", 0),
        ("Parisian", "Paris", 0),
        ("so it’s fine", "it's", 1),
        ("首都は東京です", "東京", 1),
        ("nothing", "", None),
        ("nothing", "...", 0),
        ("wait...", "...", 1),
        ("new\nyork", "New York", 1),
    ],
)
def test_includes_finds_whole_words(
    said: str, target: str, value: float | None
) -> None:
    assert worth(Includes(), said, target) == value


def test_includes_may_find_parts_of_words() -> None:
    assert worth(Includes(words=False), "Parisian", "Paris") == 1
    assert worth(Includes(ignore_case=False), "paris", "Paris") == 0
    assert worth(Includes(ignore_punctuation=True), "the U.S. coast", "US") == 1


def test_regex_compares_its_group_with_the_target() -> None:
    gsm8k = Regex(r"#### (\-?[0-9\.\,]+)")
    assert worth(gsm8k, "so 3 + 4\n#### 7", "7") == 1
    assert worth(gsm8k, "so 3 + 4\n#### 8", "7") == 0
    assert judged(gsm8k, "it is 7", "7").why == "the pattern does not match"
    assert worth(Regex(r"\d+", select="last"), "1 then 2", "2") == 1
    assert worth(Regex(r"(?P<a>\w)(?P<b>\w)", group="b"), "xy", "y") == 1
    assert worth(Regex("^(yes|no)", ignore_case=True), "YES!", "yes") == 1


def test_regex_without_a_target_asks_for_a_match_alone() -> None:
    assert worth(Regex("^[A-Z]"), "Yes") == 1
    assert worth(Regex("^[A-Z]"), "yes") == 0


def test_E2_a_catastrophic_pattern_is_stopped_and_unscored() -> None:
    started = time.monotonic()
    score = judged(Regex("(a|a|aa)+$", timeout_s=0.1), "a" * 60 + "b")
    assert time.monotonic() - started < 5
    assert score.value is None
    assert "longer than 0.1 s" in score.why


def test_length_counts_words_characters_or_lines() -> None:
    assert worth(Length(at_most=2), "two words") == 1
    assert worth(Length(at_most=2), "these are three") == 0
    assert worth(Length(unit="characters", at_least=3), " ab ") == 0
    assert worth(Length(unit="lines", at_least=2, at_most=2), "a\n\nb\n") == 1
    assert judged(Length(), "a b").why == "2 words"
