from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import Cancelled, ContextTooLong, UsageError
from localkit.events import CancelToken

if TYPE_CHECKING:
    from localkit.runtime.session import LlamaSession


def logprobs_by_logits(
    session: LlamaSession, prompt: list[int], continuation: list[int]
) -> np.ndarray:
    sequence = prompt + continuation
    rows = np.concatenate(list(session.logits(sequence, first=len(prompt) - 1)))
    rows = rows[:-1].astype(np.float64)
    rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
    return rows[np.arange(len(continuation)), continuation]


def test_a_score_is_the_log_softmax_of_the_logits(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize("a shared beginning")
    endings = [
        tiny.tokenize(text, add_special=False)
        for text in (" one", " quite another one", "x", " and so on and on")
    ]
    for ending, score in zip(endings, tiny.score(prompt, endings), strict=True):
        expected = logprobs_by_logits(tiny, prompt, ending)
        np.testing.assert_allclose(score.logprobs, expected, atol=2e-3)


@pytest.mark.model
def test_the_true_ending_is_the_likeliest(smollm2: LlamaSession) -> None:
    prompt = smollm2.tokenize("The capital of France is")
    endings = [
        smollm2.tokenize(text, add_special=False)
        for text in (" Paris", " Rome", " banana")
    ]
    sums = [score.logprobs.sum() for score in smollm2.score(prompt, endings)]
    assert np.argmax(sums) == 0


def test_more_continuations_than_sequences_are_scored_all(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize("a")
    endings = [tiny.tokenize("b" * n, add_special=False) for n in range(1, 30)]
    scores = tiny.score(prompt, endings)
    assert [len(score.logprobs) for score in scores] == [len(e) for e in endings]
    alone = [tiny.score(prompt, [ending])[0].logprobs.sum() for ending in endings]
    np.testing.assert_allclose(
        [score.logprobs.sum() for score in scores], alone, atol=5e-3
    )


def test_greedy_is_told_apart(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize("hello")
    best = int(next(tiny.logits(prompt, first=len(prompt) - 1))[0].argmax())
    other = (best + 1) % tiny.n_vocab
    right, wrong = tiny.score(prompt, [[best], [other]])
    assert right.is_greedy
    assert not wrong.is_greedy


def test_logits_come_in_blocks_that_belong_to_the_caller(tiny: LlamaSession) -> None:
    tokens = tiny.tokenize("some text that is long enough " * 8)[:200]
    blocks = list(tiny.logits(tokens, first=50))
    assert sum(len(block) for block in blocks) == 150
    assert all(block.shape[1] == tiny.n_vocab for block in blocks)
    again = np.concatenate(list(tiny.logits(tokens, first=50)))
    np.testing.assert_array_equal(np.concatenate(blocks), again)


def test_leaving_logits_early_frees_the_session(tiny: LlamaSession) -> None:
    tokens = [5] * 500
    next(tiny.logits(tokens))
    assert len(tiny.score([5], [[6]])) == 1


def test_too_long_empty_and_cancelled_are_typed(tiny: LlamaSession) -> None:
    with pytest.raises(ContextTooLong):
        tiny.score([5] * 500, [[6] * 20])
    with pytest.raises(UsageError, match="the continuation is empty"):
        tiny.score([5], [[]])
    with pytest.raises(ContextTooLong):
        list(tiny.logits([5] * 600))
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        tiny.score([5], [[6]], cancel=cancel)


def test_timing_a_prefill_and_a_decode_gives_seconds(tiny: LlamaSession) -> None:
    assert 0 < tiny.time_prefill(64) < 10
    assert 0 < tiny.time_decode(8, depth=16) < 10
    with pytest.raises(ContextTooLong):
        tiny.time_prefill(513)
