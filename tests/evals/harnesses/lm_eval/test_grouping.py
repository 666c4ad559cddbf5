from __future__ import annotations

import pytest

from localkit.errors import ContextTooLong
from localkit.evals.harnesses.lm_eval.grouping import grouped


def test_continuations_of_one_context_share_it() -> None:
    requests = [
        (None, [1, 2], [3]),
        (None, [1, 2, 9], [4, 5]),
        (None, [1, 2], [6, 7]),
        (None, [1, 2], [3]),
    ]
    groups, n_cut = grouped(requests, n_ctx=8, prefix=0)
    assert n_cut == 0
    assert [group.context for group in groups] == [(1, 2, 9), (1, 2)]
    assert groups[1].continuations == [(3,), (6, 7)]
    assert groups[1].places == [[0, 3], [2]]


def test_the_longest_group_comes_first() -> None:
    requests = [(None, [1, 2], [3]), (None, [1, 3], [4] * 5), (None, [1, 4], [3, 3])]
    groups, _ = grouped(requests, n_ctx=8, prefix=0)
    assert [group.n_tokens for group in groups] == [7, 4, 3]


def test_a_context_without_room_loses_its_first_tokens_and_is_counted() -> None:
    requests = [(None, [1, 2, 3, 4], [5, 6]), (None, [2, 3, 4], [5, 6])]
    groups, n_cut = grouped(requests, n_ctx=4, prefix=0)
    # The last token is never fed: n_ctx + 1 fit.
    assert [group.context for group in groups] == [(2, 3, 4)]
    assert groups[0].places == [[0, 1]]
    assert n_cut == 1


def test_texts_behind_a_single_token_stay_apart() -> None:
    groups, _ = grouped([(None, [0], [1, 2]), (None, [0], [3])], n_ctx=8, prefix=0)
    assert [group.places for group in groups] == [[[0]], [[1]]]


def test_an_empty_context_becomes_the_prefix() -> None:
    groups, _ = grouped([(None, [], [1, 2])], n_ctx=8, prefix=7)
    assert groups[0].context == (7,)


def test_a_request_without_a_continuation_is_in_no_group() -> None:
    assert grouped([(None, [1, 2], [])], n_ctx=8, prefix=0) == ([], 0)


def test_a_continuation_longer_than_the_context_is_refused() -> None:
    with pytest.raises(ContextTooLong):
        grouped([(None, [1], [2] * 9)], n_ctx=8, prefix=0)
