"""F1, chrF, BLEU, TER and ROUGE: how much of the target an answer has."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from localkit.evals.scorers.f1 import F1
from localkit.evals.scorers.rouge import Rouge
from localkit.evals.scorers.translation import Bleu, Chrf, Ter
from tests.evals.scorers.judged import judged, worth

FOX = (
    "The quick brown fox jumped over the dog.",
    "A quick brown dog jumps over the lazy fox.",
)
RED = ("It's 3.5 red-hot", "its 3 5 red hot cats")
WORDS = st.lists(
    st.sampled_from(["the", "a", "Cat", "sat.", "U.S.", "don't", "3.5", "über", "-"]),
    min_size=1,
    max_size=8,
).map(" ".join)


def squad_f1(said: str, target: str) -> float:
    """`f1_score` of evaluate-v1.1.py, in its own steps."""

    def words(text: str) -> list[str]:
        text = "".join(c for c in text.lower() if c not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    ours, theirs = words(said), words(target)
    same = sum((Counter(ours) & Counter(theirs)).values())
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(ours), 1.0 * same / len(theirs)
    return (2 * precision * recall) / (precision + recall)


@given(WORDS, WORDS)
def test_f1_is_the_squad_scripts(said: str, target: str) -> None:
    assert worth(F1(), said, target) == squad_f1(said, target)


def test_f1_takes_the_best_target() -> None:
    assert worth(F1(), "the red house", "blue", "A red house!") == 1


@given(said=WORDS, target=WORDS)
@settings(max_examples=30, deadline=None)
def test_chrf_bleu_and_ter_are_sacrebleus(said: str, target: str) -> None:
    chrf = sacrebleu.sentence_chrf(said, [target]).score / 100
    bleu = sacrebleu.sentence_bleu(said, [target]).score / 100
    ter = sacrebleu.sentence_ter(said, [target]).score / 100
    assert worth(Chrf(), said, target) == pytest.approx(chrf, abs=1e-12)
    assert worth(Bleu(), said, target) == pytest.approx(min(bleu, 1), abs=1e-12)
    assert worth(Ter(), said, target) == pytest.approx(max(0, 1 - ter), abs=1e-12)


def test_an_equal_answer_is_worth_one_and_a_foreign_one_nothing() -> None:
    for scorer in (Chrf(), Bleu(), Ter(), Rouge(), F1()):
        assert worth(scorer, FOX[1], FOX[1]) == pytest.approx(1)
        assert worth(scorer, "xyz", FOX[1]) == pytest.approx(0, abs=0.05)


def test_several_targets_help() -> None:
    one = worth(Chrf(), FOX[0], "other words")
    two = worth(Chrf(), FOX[0], "other words", FOX[1])
    assert one is not None
    assert two is not None
    assert two > one


# rouge_score 0.1.2: RougeScorer([...], use_stemmer=False).score(target, answer),
# fmeasure; 9,000 random pairs agreed when this was written.
@pytest.mark.parametrize(
    ("pair", "rouge1", "rouge2", "rouge_l"),
    [
        (FOX, 0.7058823529411765, 0.26666666666666666, 0.47058823529411764),
        (RED, 0.6666666666666666, 0.6, 0.6666666666666666),
        (("no", "yes"), 0.0, 0.0, 0.0),
    ],
)
def test_rouge_is_googles(
    pair: tuple[str, str], rouge1: float, rouge2: float, rouge_l: float
) -> None:
    assert worth(Rouge(kind="rouge1"), *pair) == pytest.approx(rouge1, abs=1e-12)
    assert worth(Rouge(kind="rouge2"), *pair) == pytest.approx(rouge2, abs=1e-12)
    assert worth(Rouge(), *pair) == pytest.approx(rouge_l, abs=1e-12)


def test_E2_rouge_says_where_it_sees_no_words() -> None:
    score = judged(Rouge(), "東京", "東京")
    assert score.value is None
    assert "no words in ASCII" in score.why
    assert judged(Rouge(), "a " * 5000, "a").value is None


def test_E5_ter_of_a_long_text_is_unscored_before_it_takes_minutes() -> None:
    score = judged(Ter(), "word " * 101, "word")
    assert score.value is None
    assert score.why == "answer or target is longer than 100 words"
