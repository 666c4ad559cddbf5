from __future__ import annotations

import pytest

from localkit.evals.scorers.choice import Choice, taken_choice
from tests.evals.scorers.judged import judged, worth

CITIES = ("York", "New York", "London", "Paris")


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("B", 1),
        ("b.", 1),
        ("(C)", 2),
        ("**D**", 3),
        ("B) New York", 1),
        ("C. London, because A is too small", 2),
        ("The answer is (B).", 1),
        ("At first A, but the correct answer is C", 2),
        ("ANSWER: D", 3),
        ("Answer: **B**", 1),
        ("New York", 1),
        ("It is York.", 0),
        ("It must be New York!", 1),
        ("I would take (D) here", 3),
        ("london", 2),
        ("A fine question", None),
        ("London or Paris", None),
        ("E", None),
        ("I don't know", None),
        ("", None),
    ],
)
def test_a_choice_is_taken_by_letter_or_text(said: str, taken: int | None) -> None:
    assert taken_choice(said, CITIES)[0] == taken


def test_an_answer_that_takes_none_is_wrong_and_says_so() -> None:
    score = judged(Choice(), "who knows", choices=CITIES, gold=0)
    assert (score.value, score.why) == (0, "no choice in the answer")
    score = judged(Choice(), "London, Paris", choices=CITIES, gold=2)
    assert (score.value, score.why) == (0, "the answer names 2 choices")
    assert worth(Choice(), "D", choices=CITIES, gold=3) == 1


def test_names_of_classes_are_choices_without_letters() -> None:
    scorer = Choice(labels=("negative", "neutral", "positive"))
    assert worth(scorer, "The mood is positive.", "Positive") == 1
    assert worth(scorer, "Negative", "positive") == 0
    assert worth(scorer, "A", "negative") == 0
    assert worth(scorer, "positive", "angry") is None
