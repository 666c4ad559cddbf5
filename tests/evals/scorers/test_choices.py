from __future__ import annotations

import math

import numpy as np
import pytest

from localkit.errors import Cancelled, NotComparable
from localkit.evals.scorers.choices import (
    ItemScore,
    compare_items,
    encode_choices,
    score_item,
    summarize_items,
)
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Norm, Task
from localkit.events import CancelToken
from localkit.runtime.fake import BOS, FakeSession
from localkit.runtime.protocol import ContinuationScore
from tests.evals.fakes import fake_session

ITEM = Sample("one", "The sky is", ("blue", "blue-green", "bläu"), 0)
TASK = Task("colours", (ITEM,))


def answer(
    item: str, *, right: bool | None, gold: int = 0, reason: str = "too long"
) -> ItemScore:
    """An answer to a question of two choices, right, wrong or unscored."""
    if right is None:
        return ItemScore(id=item, gold=gold, unscored=reason)
    scored = score_item(fake_session(), TASK, Sample(item, "x", ("a", "b"), gold))
    return scored.model_copy(
        update={"gold": scored.prediction("none") if right else 1 - _best(scored)}
    )


def _best(score: ItemScore) -> int:
    best = score.prediction("none")
    assert best is not None
    return best


def test_spaces_that_end_the_prompt_move_to_the_choices() -> None:
    session = fake_session()
    head, tails = encode_choices(session, "The sky is  ", ["blue"])
    assert head == [BOS, *b"The sky is"]
    assert tails == [list(b"  blue")]


def test_choices_are_tokenized_together_with_the_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = fake_session()
    plain = session.tokenize

    def merging(
        text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        # As in a real vocabulary, a space belongs to the word after it.
        return plain(text.replace(" b", "ß"), add_special=add_special)

    monkeypatch.setattr(session, "tokenize", merging)
    _, tails = encode_choices(session, "sky is", [" blue"])
    assert tails == [list("ßlue".encode())]


def test_scores_are_sums_with_what_they_may_be_divided_by() -> None:
    session = fake_session()
    score = score_item(session, TASK, ITEM)
    head, tails = encode_choices(session, ITEM.prompt, [" blue"])
    expected = session.score(head, tails)[0].logprobs
    blue, blue_green, blau = score.choices
    assert blue.logprob == pytest.approx(expected.sum())
    assert blue.score("char") == pytest.approx(expected.sum() / 4)
    assert blue.n_tokens == 5
    # " bl" is common to all three: the token norm starts behind it.
    assert blue.score("token") == pytest.approx(expected[3:].mean())
    assert blue_green.n_chars == 10
    assert (blau.n_chars, blau.n_bytes) == (4, 5)
    assert blau.score("byte") == pytest.approx(blau.logprob / 5)


def test_a_choice_that_begins_another_keeps_a_token_of_its_own() -> None:
    item = Sample("prefix", "x", ("a", "ab"), 0)
    score = score_item(fake_session(), TASK, item)
    assert [choice.n_tokens_apart for choice in score.choices] == [1, 2]


def test_the_likeliest_choice_is_the_prediction() -> None:
    session = fake_session()
    score = score_item(session, TASK, ITEM)
    sums = [choice.logprob for choice in score.choices]
    assert score.prediction("none") == int(np.argmax(sums))
    assert score.correct("none") == (int(np.argmax(sums)) == 0)


def test_equal_choices_go_to_the_first() -> None:
    score = score_item(fake_session(), TASK, Sample("tie", "x", ("a", "a"), 1))
    assert score.prediction("none") == 0
    assert score.correct("none") is False


def test_E2_item_too_long_for_the_context_is_unscored_and_says_so() -> None:
    score = score_item(fake_session(n_ctx=8), TASK, ITEM)
    assert score.unscored is not None
    assert "n_ctx is 8" in score.unscored
    assert score.prediction("none") is None


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_E2_log_probability_that_is_no_number_is_unscored(
    bad: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> list[ContinuationScore]:
        return [ContinuationScore(np.array([bad]), is_greedy=False)] * 3

    monkeypatch.setattr(FakeSession, "score", broken)
    assert score_item(fake_session(), TASK, ITEM).unscored


def test_E2_unscored_items_are_counted_and_not_wrong() -> None:
    scores = [
        answer("a", right=True),
        answer("b", right=False),
        answer("c", right=None),
    ]
    summary = summarize_items(scores, "none")
    assert (summary.n_items, summary.n_unscored) == (2, 1)
    assert summary.accuracy.value == 0.5
    nothing = summarize_items([answer("c", right=None)], "none")
    assert math.isnan(nothing.accuracy.value)


def test_stopping_is_not_an_unscored_item() -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        score_item(fake_session(), TASK, ITEM, cancel=cancel)


def test_flips_are_counted_both_ways_over_items_both_scored() -> None:
    rights = [(True, False), (True, False), (False, True), (True, True), (None, True)]
    mine = [answer(str(i), right=a) for i, (a, _) in enumerate(rights)]
    base = [answer(str(i), right=b) for i, (_, b) in enumerate(rights)]
    paired = compare_items(mine, base[::-1], "none")
    assert (paired.n_gained, paired.n_lost) == (2, 1)
    assert (paired.n_items, paired.n_unscored) == (4, 1)
    assert paired.difference.value == pytest.approx(0.25)
    assert paired.p_value == 1
    assert paired.n_needed is not None


def test_E3_a_model_against_itself_has_no_flips() -> None:
    scores = [answer(str(i), right=i % 2 == 0) for i in range(10)]
    paired = compare_items(scores, scores, "none")
    assert (paired.n_gained, paired.n_lost, paired.p_value) == (0, 0, 1)
    assert paired.n_needed is None


@pytest.mark.parametrize("change", ["missing", "twice", "other"])
def test_E2_answers_to_other_items_are_refused(change: str) -> None:
    base = [answer("a", right=True), answer("b", right=True)]
    mine = {
        "missing": base[:1],
        "twice": [*base, base[0]],
        "other": [base[0], answer("c", right=True)],
    }[change]
    with pytest.raises(NotComparable, match="do not pair"):
        compare_items(mine, base, "none")


def test_scores_survive_json() -> None:
    for score in (score_item(fake_session(), TASK, ITEM), answer("u", right=None)):
        assert ItemScore.model_validate_json(score.model_dump_json()) == score


@pytest.mark.parametrize("norm", ["none", "token", "char", "byte"])
def test_every_norm_ranks(norm: Norm) -> None:
    assert score_item(fake_session(), TASK, ITEM).prediction(norm) in (0, 1, 2)
