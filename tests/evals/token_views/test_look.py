from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import Cancelled, ContextTooLong, NotComparable, UsageError
from localkit.evals.text.chunks import Stretch
from localkit.evals.text.exact import compare_exactly, exact_chunk
from localkit.evals.token_views.look import first_difference, look
from localkit.events import CancelToken
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from localkit.kit import Kit

PROMPT = "hello world and the"
ANSWER = " world in the hello thing"


class OneChunk:
    """A prompt and an answer as the text measures take them."""

    n_bytes_scored = (1,)

    def __init__(self, prompt: Sequence[int], answer: Sequence[int]) -> None:
        self.stretch = Stretch(
            (*prompt, *answer), len(prompt) - 1, np.array(answer, np.int32)
        )

    def n_rows(self, index: int) -> int:
        return len(self.stretch.targets)

    def stretches(self, index: int) -> tuple[Stretch]:
        return (self.stretch,)


@pytest.mark.parametrize("which", ["fakes", "engines"])
def test_kl_and_logprobs_are_those_of_the_text_measures(
    which: str, request: pytest.FixtureRequest
) -> None:
    kit: Kit = request.getfixturevalue(which)
    names = ("tiny:f16", "tiny:q4_0") if which == "fakes" else ("tiny:one", "tiny:two")
    one, other = (kit.load(name).session for name in names)
    prompt = one.tokenize(PROMPT)
    answer = one.tokenize(ANSWER, add_special=False)
    found = look(one, prompt, answer, against=other)
    chunk = OneChunk(prompt, answer)
    expected = compare_exactly(other, chunk, 0, exact_chunk(one, chunk, 0))
    assert [x.kl for x in found] == pytest.approx(expected.kld, abs=1e-6)
    assert max(x.kl for x in found) > 0.01
    here = [x.here.logprob for x in found]
    there = [x.there.logprob for x in found]
    assert here == pytest.approx(-expected.nll_base, abs=1e-6)
    assert there == pytest.approx(-expected.nll, abs=1e-6)
    assert [x.same_top for x in found] == expected.same_top.tolist()
    assert [x.change for x in found] == pytest.approx(
        expected.nll_base - expected.nll, abs=1e-6
    )


@pytest.mark.parametrize("which", ["fakes", "engines"])
def test_the_sum_of_the_logprobs_is_what_score_says(
    which: str, request: pytest.FixtureRequest
) -> None:
    kit: Kit = request.getfixturevalue(which)
    model = kit.load("tiny:f16" if which == "fakes" else "tiny:one")
    prompt = model.session.tokenize(PROMPT)
    answer = model.session.tokenize(ANSWER, add_special=False)
    found = look(model.session, prompt, answer)
    (score,) = model.score(PROMPT, [ANSWER])
    # The engine scores in other batches, whose shapes move low bits (design 025).
    assert sum(one.here.logprob for one in found) == pytest.approx(
        score.logprobs.sum(), abs=1e-6 if which == "fakes" else 1e-3
    )
    assert score.is_greedy == all(one.here.rank == 1 for one in found)


def test_a_model_against_itself_is_at_exactly_0(engines: Kit) -> None:
    session = engines.load("tiny:one").session
    prompt = session.tokenize(PROMPT)
    found = look(session, prompt, prompt, against=session)
    assert {one.kl for one in found} == {0.0}
    assert all(one.same_top for one in found)
    assert {one.change for one in found} == {0.0}


def test_distributions_are_dropped_one_after_the_other(
    fakes: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = fakes.load("tiny:f16", LoadParams(n_ubatch=4)).session
    held: list[weakref.ref[NDArray[np.float32]]] = []
    most = 0

    def logits(tokens: Sequence[int], *, first: int = 0, cancel: object = None):
        nonlocal most
        for _ in range(first, len(tokens), 4):
            block = np.zeros((4, session.n_vocab), np.float32)
            held.append(weakref.ref(block))
            most = max(most, sum(one() is not None for one in held))
            yield block

    monkeypatch.setattr(session, "logits", logits)
    look(session, [1], [2] * 400)
    assert len(held) == 101
    assert most <= 3


def test_models_whose_vocabularies_differ_in_size_are_refused(engines: Kit) -> None:
    one, other = engines.load("tiny:one"), engines.load("tiny:spm")
    with pytest.raises(NotComparable, match="vocabularies have"):
        look(one.session, [1], [2], against=other.session)


def test_what_cannot_be_looked_at_is_refused_before_anything_is_computed(
    fakes: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = fakes.load("tiny:f16", LoadParams(n_ctx=256)).session
    monkeypatch.setattr(session, "logits", lambda *_, **__: pytest.fail("computed"))
    assert look(session, [1], []) == []
    with pytest.raises(UsageError, match="follows nothing"):
        look(session, [], [1])
    with pytest.raises(UsageError, match="top is 0"):
        look(session, [1], [1], n_top=0)
    with pytest.raises(ContextTooLong):
        look(session, [1], [1] * session.n_ctx)


def test_a_look_can_be_stopped(fakes: Kit) -> None:
    stop = CancelToken()
    stop.cancel()
    with pytest.raises(Cancelled):
        look(fakes.load("tiny:f16").session, [1], [2], cancel=stop)


@pytest.mark.parametrize(
    ("one", "other", "at"),
    [
        ([1, 2, 3], [1, 2, 3], None),
        ([1, 2, 3], [1, 9, 3], 1),
        ([1, 2], [1, 2, 3], 2),
        ([], [1], 0),
        ([], [], None),
    ],
)
def test_where_two_answers_part(
    one: list[int], other: list[int], at: int | None
) -> None:
    assert first_difference(one, other) == at
