from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.errors import NotComparable, UsageError
from localkit.evals.token_views.answering import look_at
from localkit.evals.token_views.branch import grow
from localkit.events import CancelToken
from localkit.runtime.protocol import SamplingParams

if TYPE_CHECKING:
    from localkit.kit import Kit


@pytest.mark.parametrize("which", ["fakes", "engines"])
def test_a_greedy_answer_is_the_likeliest_token_everywhere(
    which: str, request: pytest.FixtureRequest
) -> None:
    kit: Kit = request.getfixturevalue(which)
    model = kit.load("tiny:f16" if which == "fakes" else "tiny:one")
    answer = look_at(model, "hello", max_tokens=8, raw=True).answer
    assert len(answer.tokens) in (7, 8)  # one of them ends its answer
    assert {one.figures.here.rank for one in answer.tokens} == {1}
    assert answer.prompt == tuple(model.session.tokenize("hello"))
    assert answer.own == ()
    assert answer.parts_at is None
    assert {len(one.top) for one in answer.tokens} == {5}


def test_two_models_answer_by_themselves_and_part_at_the_first_other_token(
    engines: Kit,
) -> None:
    one, other = engines.load("tiny:one"), engines.load("tiny:two")
    answer = look_at(one, "hello world", against=other, max_tokens=6, raw=True).answer
    assert [own.ref for own in answer.own] == [
        str(one.stored.ref),
        str(other.stored.ref),
    ]
    at = answer.parts_at
    assert at is not None
    assert answer.own[0].tokens[:at] == answer.own[1].tokens[:at]
    assert answer.own[0].tokens[at] != answer.own[1].tokens[at]
    assert answer.tokens[at].figures.same_top is False
    assert answer.ids == answer.own[0].tokens
    assert len(answer.kls) == 6
    assert answer.strangest(1)[0] == max(range(6), key=answer.kls.__getitem__)


def test_a_model_against_itself_parts_nowhere(fakes: Kit) -> None:
    model = fakes.load("tiny:f16")
    answer = look_at(model, "hi", against=model, max_tokens=5).answer
    assert answer.parts_at is None
    assert answer.kl_mean == 0
    assert answer.n_same_top == len(answer.tokens)


def test_a_text_is_looked_at_as_it_is_and_nothing_is_generated(fakes: Kit) -> None:
    model, other = fakes.load("tiny:f16"), fakes.load("tiny:q2_k")
    answer = look_at(model, "hi", text="yes<|im_end|>", against=other).answer
    assert bytes(answer.ids) == b"yes<|im_end|>"
    assert answer.own == ()
    (score,) = model.session.score(answer.prompt, [answer.ids])
    assert answer.logprob == pytest.approx(score.logprobs.sum(), abs=1e-6)
    differing = [one.figures.same_top for one in answer.tokens].index(False)
    assert answer.parts_at == differing


def test_a_result_brings_its_prompt_and_its_tokens(fakes: Kit) -> None:
    model = fakes.load("tiny:f16")
    for result in (
        model.chat("hi", max_tokens=6, temperature=0),
        model.generate("hi", max_tokens=6, temperature=0),
    ):
        answer = look_at(model, None, text=result).answer
        assert answer.ids == result.tokens
        assert len(answer.prompt) == result.usage.n_prompt


def test_a_result_of_another_template_or_model_is_refused(
    fakes: Kit, engines: Kit
) -> None:
    model = fakes.load("tiny:f16")
    instructed = model.chat("hi", max_tokens=6, temperature=0)
    with pytest.raises(UsageError, match="has its own prompt"):
        look_at(model, None, text=instructed, system="Be brief.")
    other = engines.load("tiny:spm")
    with pytest.raises(NotComparable):
        look_at(other, None, text=instructed)


def test_quants_of_another_vocabulary_are_refused_before_they_answer(
    engines: Kit,
) -> None:
    one, other = engines.load("tiny:one"), engines.load("tiny:spm")
    with pytest.raises(NotComparable, match="has another tokenizer than"):
        look_at(one, "hello", against=other)


def test_there_must_be_a_prompt(fakes: Kit) -> None:
    with pytest.raises(UsageError, match="there is no prompt"):
        look_at(fakes.load("tiny:f16"), None)
    with pytest.raises(UsageError, match="raw text"):
        look_at(fakes.load("tiny:f16"), "hi", system="s", raw=True)


GREEDY = SamplingParams(temperature=0, max_tokens=5, seed=0)


def test_the_likeliest_token_leads_to_the_same_answer(engines: Kit) -> None:
    model = engines.load("tiny:one")
    answer = look_at(model, "hello", max_tokens=8, raw=True).answer
    ids = answer.ids
    heard: list[str] = []
    branch = grow(
        model.session,
        "tiny:one",
        answer.prompt,
        ids,
        2,
        ids[2],
        GREEDY,
        on_text=heard.append,
    )
    grown = tuple(one.figures.token for one in branch.tokens)
    assert grown == ids[2:8]
    assert branch.finish_reason == "length"
    assert "".join(heard) == model.session.detokenize(grown)


def test_another_token_is_put_there_and_scored(fakes: Kit) -> None:
    model = fakes.load("tiny:f16")
    answer = look_at(model, "hi", max_tokens=4).answer
    other = answer.tokens[1].top[1]
    branch = grow(
        model.session, "tiny", answer.prompt, answer.ids, 1, other.token, GREEDY
    )
    assert branch.first.figures.token == other.token
    assert branch.first.figures.here.logprob == pytest.approx(other.logprob)
    assert branch.first.figures.here.rank == 2
    assert branch.at == 1


def test_the_end_of_the_answer_ends_a_branch(fakes: Kit) -> None:
    session = fakes.load("tiny:f16").session
    branch = grow(session, "tiny", [1], [2, 3], 1, session.eos, GREEDY)
    assert len(branch.tokens) == 1
    assert branch.finish_reason == "stop"


def test_a_branch_that_is_stopped_keeps_what_there_is(fakes: Kit) -> None:
    session = fakes.load("tiny:f16").session
    stop = CancelToken()

    def stop_it(text: str) -> None:
        stop.cancel()

    branch = grow(
        session, "tiny", [1], [2, 3], 1, 7, GREEDY, on_text=stop_it, cancel=stop
    )
    assert branch.finish_reason == "interrupted"
    assert branch.first.figures.token == 7


@pytest.mark.parametrize(("at", "token"), [(-1, 5), (3, 5), (0, -1), (0, 1 << 20)])
def test_a_position_or_token_that_is_not_there_is_refused(
    fakes: Kit, at: int, token: int
) -> None:
    session = fakes.load("tiny:f16").session
    with pytest.raises(UsageError):
        grow(session, "tiny", [1], [2, 3], at, token, GREEDY)
