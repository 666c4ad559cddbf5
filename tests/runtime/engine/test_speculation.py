"""Guesses change how many decodes an answer takes, never the answer.

Several rows at once may move low bits (design/025), so equality is asked of a
model whose two best logits are never that close, and checked to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from localkit.errors import LoadFailed, Unsupported, UsageError
from localkit.gguf import read_info
from localkit.runtime.engine.speculation import PromptLookup
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams, SamplingParams, ServeParams
from tests.fixtures.draft import (
    write_foreign_draft,
    write_good_draft,
    write_poor_draft,
    write_target,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from localkit.runtime.session import LlamaSession

GREEDY = SamplingParams(temperature=0, max_tokens=48)
LOOKUP = ServeParams(speculate="prompt-lookup")
DRAFT = ServeParams(speculate="draft")
# Most that batching moved a logit of the tiny float32 model: 0.004 (test below).
_CLEAR = 0.02


def load(path: Path, draft: Path | None = None) -> LlamaSession:
    params = LoadParams(n_ctx=512, n_threads=1, draft=draft)
    return LlamaRuntime().load(read_info(path), params)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drafting")


@pytest.fixture(scope="module")
def target(folder: Path) -> Path:
    return write_target(folder / "target.gguf")


@pytest.fixture(scope="module")
def drafted(folder: Path, target: Path) -> Iterator[LlamaSession]:
    session = load(target, write_good_draft(folder / "good.gguf"))
    yield session
    session.close()


def clear_prompts(session: LlamaSession, wanted: int = 6) -> list[list[int]]:
    """Prompts whose answers never come to two logits that are nearly the same."""
    found = []
    random = np.random.default_rng(5)
    for _ in range(60):
        prompt = random.integers(3, session.n_vocab, 20).tolist()
        answer = plain(session, prompt)
        rows = np.concatenate(
            list(session.logits([*prompt, *answer], first=len(prompt) - 1))
        )
        best = np.sort(rows[:-1], axis=1)
        if (best[:, -1] - best[:, -2]).min() > _CLEAR:
            found.append(prompt)
        if len(found) == wanted:
            return found
    raise AssertionError(f"only {len(found)} prompts are clear enough")


def plain(session: LlamaSession, prompt: Sequence[int]) -> tuple[int, ...]:
    return session.stream(prompt, GREEDY).wait().tokens


def test_what_followed_the_last_tokens_before_is_guessed() -> None:
    lookup = PromptLookup()
    assert list(lookup.propose([1, 2, 3, 4, 5, 9, 2, 3, 4], 3)) == [5, 9, 2]
    assert list(lookup.propose([1, 2, 3, 4, 5, 9, 2, 3, 4, 5, 9], 2)) == [2, 3]


def test_the_longest_run_decides_and_the_latest_of_equals() -> None:
    tokens = [1, 2, 3, 7, 2, 3, 8, 1, 2, 3]
    assert list(PromptLookup().propose(tokens, 1)) == [7]
    assert list(PromptLookup().propose([2, 3, 7, 2, 3, 8, 2, 3], 1)) == [8]


def test_nothing_is_guessed_of_a_text_without_repetition() -> None:
    assert list(PromptLookup().propose(list(range(50)), 8)) == []
    assert list(PromptLookup().propose([4], 8)) == []


def test_a_shortened_sequence_starts_the_lookup_over() -> None:
    lookup = PromptLookup()
    lookup.propose([1, 2, 3, 4, 5, 6, 7], 2)
    assert list(lookup.propose([1, 2], 2)) == []
    assert list(lookup.propose([1, 2, 9, 1, 2], 2)) == [9, 1]


@pytest.mark.parametrize("serve", [LOOKUP, DRAFT], ids=["prompt-lookup", "draft"])
def test_guesses_do_not_change_the_answer_and_save_decodes(
    drafted: LlamaSession, serve: ServeParams
) -> None:
    accepted = 0
    for prompt in clear_prompts(drafted):
        expected = plain(drafted, prompt)
        generation = drafted.stream(prompt, GREEDY, serve=serve).wait()
        usage = generation.usage
        assert generation.tokens == expected
        assert 0 <= usage.n_accepted <= usage.n_drafted
        assert usage.n_generated == len(expected)
        accepted += usage.n_accepted
    assert accepted > 0


def test_guesses_are_taken_where_a_prompt_repeats_itself(drafted: LlamaSession) -> None:
    start = clear_prompts(drafted, 1)[0]
    prompt = (start + list(plain(drafted, start))) * 3
    prompt = prompt[:300]
    usage = drafted.stream(prompt, GREEDY, serve=LOOKUP).wait().usage
    assert usage.n_drafted >= usage.n_accepted > 0


def test_a_good_draft_model_is_mostly_right_and_no_answer_costs_more_decodes(
    drafted: LlamaSession,
) -> None:
    usages = [
        drafted.stream(prompt, GREEDY, serve=DRAFT).wait().usage
        for prompt in clear_prompts(drafted)
    ]
    drafts, accepted = (
        sum(one.n_drafted for one in usages),
        sum(one.n_accepted for one in usages),
    )
    assert accepted > 0.8 * drafts > 0


def test_a_poor_draft_model_changes_nothing_either(folder: Path, target: Path) -> None:
    session = load(target, write_poor_draft(folder / "poor.gguf"))
    drafts = accepted = 0
    for prompt in clear_prompts(session):
        generation = session.stream(prompt, GREEDY, serve=DRAFT).wait()
        assert generation.tokens == plain(session, prompt)
        drafts += generation.usage.n_drafted
        accepted += generation.usage.n_accepted
    assert accepted < 0.5 * drafts
    session.close()


def test_answers_that_draft_side_by_side_each_get_their_own(
    drafted: LlamaSession,
) -> None:
    prompts = clear_prompts(drafted)
    expected = [plain(drafted, prompt) for prompt in prompts]
    streams = [
        drafted.stream(prompt, GREEDY, serve=serve)
        for serve in (DRAFT, LOOKUP)
        for prompt in prompts
    ]
    for stream in streams:
        stream.start()
    assert [stream.wait().tokens for stream in streams] == expected * 2


def test_sampled_answers_are_those_of_the_same_seed(drafted: LlamaSession) -> None:
    params = SamplingParams(temperature=1.0, seed=11, max_tokens=32)
    prompt = clear_prompts(drafted, 1)[0]
    one = drafted.stream(prompt, params, serve=DRAFT).wait()
    other = drafted.stream(prompt, params).wait()
    assert one.tokens == other.tokens
    assert one.usage.n_drafted > 0


def test_max_tokens_and_a_full_context_hold_with_guesses(drafted: LlamaSession) -> None:
    prompt = clear_prompts(drafted, 1)[0]
    for n in (1, 2, 7):
        params = SamplingParams(temperature=0, max_tokens=n)
        usage = drafted.stream(prompt, params, serve=DRAFT).wait().usage
        assert usage.n_generated == n
    full = (prompt * 26)[:508]
    params = SamplingParams(temperature=0)
    for serve in (DRAFT, LOOKUP):
        generation = drafted.stream(full, params, serve=serve).wait()
        assert generation.usage.n_generated == 4
        assert generation.finish_reason == "length"


def test_without_speculation_nothing_is_drafted(drafted: LlamaSession) -> None:
    usage = drafted.stream(clear_prompts(drafted, 1)[0], GREEDY).wait().usage
    assert (usage.n_drafted, usage.n_accepted) == (0, 0)


def test_drafting_without_a_draft_model_says_what_to_do(tiny: LlamaSession) -> None:
    with pytest.raises(UsageError, match="needs a draft model") as caught:
        tiny.stream([5, 6], GREEDY, serve=DRAFT)
    assert "prompt-lookup" in caught.value.hint


def test_exact_and_guesses_do_not_go_together(drafted: LlamaSession) -> None:
    for speculate in ("draft", "prompt-lookup"):
        serve = ServeParams(exact=True, speculate=speculate)
        with pytest.raises(UsageError, match="exact"):
            drafted.stream([5, 6], GREEDY, serve=serve)


def test_a_draft_model_of_another_vocabulary_is_refused(
    folder: Path, target: Path
) -> None:
    with pytest.raises(LoadFailed, match="draft model"):
        load(target, write_foreign_draft(folder / "foreign.gguf"))


def test_a_model_that_cannot_take_back_guesses_says_so(
    tiny: LlamaSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny._loaded, "cut", False)
    with pytest.raises(Unsupported, match="llama keeps a state") as caught:
        tiny.stream([5, 6], GREEDY, serve=LOOKUP)
    assert caught.value.hint


def test_several_rows_at_once_move_logits_less_than_the_prompts_here_allow(
    drafted: LlamaSession,
) -> None:
    prompt = clear_prompts(drafted, 1)[0]
    answer = plain(drafted, prompt)
    params: dict[str, Any] = {"temperature": 0, "max_tokens": 48, "top_logprobs": 2}
    one = drafted.stream(prompt, SamplingParams(**params)).wait()
    other = drafted.stream(prompt, SamplingParams(**params), serve=DRAFT).wait()
    assert one.tokens == other.tokens == answer
    moved = [
        abs(a.logprob - b.logprob)
        for a, b in zip(one.logprobs, other.logprobs, strict=True)
    ]
    assert max(moved) < _CLEAR / 2
