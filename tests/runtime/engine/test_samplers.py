from __future__ import annotations

import ctypes
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from localkit.runtime import library
from localkit.runtime.engine.samplers import Chain, check, draw_seed, is_plain_greedy
from localkit.runtime.params import SamplingParams, ServeParams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from localkit.runtime.session import LlamaSession

# Everything off: what is left is the draw.
OPEN: Mapping[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


@pytest.fixture
def apply(tiny: LlamaSession) -> Iterator[Callable[..., dict[int, float]]]:
    """Return the candidates that a chain leaves of some logits, with theirs."""
    engine: Any = library.library()
    chains: list[Chain] = []

    def applied(
        logits: Mapping[int, float], *, prompt: Sequence[int] = (), **fields: Any
    ) -> dict[int, float]:
        params = SamplingParams(**{**OPEN, **fields})
        check(params)
        chain = Chain(
            engine, tiny._vocabulary, params, seed=1, prompt=prompt, n_ctx=tiny.n_ctx
        )
        chains.append(chain)
        data = (engine.llama_token_data * len(logits))(
            *((token, logit, 0.0) for token, logit in logits.items())
        )
        array = engine.llama_token_data_array(data, len(logits), -1, False)
        engine.llama_sampler_apply(chain.native, ctypes.byref(array))
        assert 0 <= array.selected < array.size
        return {array.data[i].id: array.data[i].logit for i in range(array.size)}

    yield applied
    for chain in chains:
        chain.free()


# Probabilities 0.5, 0.3, 0.1, 0.06, 0.04 of tokens 10 to 14.
SHARES = dict(zip(range(10, 15), np.log([0.5, 0.3, 0.1, 0.06, 0.04]), strict=True))


def test_without_filters_everything_is_left_as_it_is(apply: Any) -> None:
    assert apply(SHARES) == pytest.approx(SHARES)


def test_temperature_divides_the_logits(apply: Any) -> None:
    expected = {token: logit / 0.5 for token, logit in SHARES.items()}
    assert apply(SHARES, temperature=0.5) == pytest.approx(expected)


def test_top_k_leaves_the_k_likeliest(apply: Any) -> None:
    assert set(apply(SHARES, top_k=2)) == {10, 11}


def test_top_p_leaves_the_fewest_that_reach_the_share(apply: Any) -> None:
    assert set(apply(SHARES, top_p=0.75)) == {10, 11}
    assert set(apply(SHARES, top_p=0.85)) == {10, 11, 12}


def test_min_p_leaves_what_is_at_least_that_share_of_the_likeliest(apply: Any) -> None:
    assert set(apply(SHARES, min_p=0.15)) == {10, 11, 12}
    assert set(apply(SHARES, min_p=0.25)) == {10, 11}


def test_typical_leaves_those_nearest_to_the_entropy(apply: Any) -> None:
    # Entropy 1.24: token 11 (surprise 1.20) is nearest, then 10 (0.69).
    assert set(apply(SHARES, typical_p=0.25)) == {11}
    assert set(apply(SHARES, typical_p=0.7)) == {10, 11}


def test_xtc_drops_all_but_the_least_likely_of_the_top_choices(apply: Any) -> None:
    assert set(apply(SHARES, xtc_probability=1.0, xtc_threshold=0.2)) == {
        11,
        12,
        13,
        14,
    }
    assert set(apply(SHARES, xtc_probability=1.0, xtc_threshold=0.09)) == {12, 13, 14}
    assert set(apply(SHARES, xtc_probability=0.0, xtc_threshold=0.09)) == set(SHARES)


def test_a_repeat_penalty_divides_positive_logits_and_multiplies_negative_ones(
    apply: Any,
) -> None:
    found = apply({1: 3.0, 2: -3.0, 3: 3.0}, prompt=[1, 2, 2], repeat_penalty=1.5)
    assert found == pytest.approx({1: 2.0, 2: -4.5, 3: 3.0})


def test_frequency_counts_and_presence_does_not(apply: Any) -> None:
    logits = {1: 3.0, 2: 3.0, 3: 3.0}
    assert apply(logits, prompt=[1, 2, 2], frequency_penalty=0.5) == pytest.approx(
        {1: 2.5, 2: 2.0, 3: 3.0}
    )
    assert apply(logits, prompt=[1, 2, 2], presence_penalty=0.5) == pytest.approx(
        {1: 2.5, 2: 2.5, 3: 3.0}
    )


def test_penalties_look_back_as_far_as_asked(apply: Any) -> None:
    logits = {1: 3.0, 2: 3.0}
    options = {"prompt": [1, 2], "presence_penalty": 1.0}
    assert apply(logits, repeat_last_n=1, **options) == pytest.approx({1: 3, 2: 2})
    assert apply(logits, repeat_last_n=0, **options) == pytest.approx(logits)


def test_logit_bias_is_added_and_minus_infinity_forbids(apply: Any) -> None:
    found = apply(SHARES, logit_bias=((10, -math.inf), (12, 1.5), (14, -2.0)))
    assert found[10] == -math.inf
    assert found[12] == pytest.approx(SHARES[12] + 1.5)
    assert found[14] == pytest.approx(SHARES[14] - 2.0)
    assert found[11] == pytest.approx(SHARES[11])


def test_dry_punishes_what_would_go_on_with_a_repetition(apply: Any) -> None:
    # 5 6 7 8 stood there before, and 5 6 7 again: 8 would be its fourth token.
    prompt = [5, 6, 7, 8, 9, 5, 6, 7]
    options = {"prompt": prompt, "dry_multiplier": 2.0, "dry_base": 1.5}
    logits = {8: 10.0, 9: 10.0}
    found = apply(logits, dry_sequence_breakers=(), **options)
    assert found == pytest.approx({8: 10 - 2.0 * 1.5 ** (3 - 2), 9: 10})
    longer = apply(logits, dry_allowed_length=3, dry_sequence_breakers=(), **options)
    assert longer == pytest.approx({8: 10 - 2.0, 9: 10})
    short = apply(logits, dry_penalty_last_n=4, dry_sequence_breakers=(), **options)
    assert short == pytest.approx(logits)


def test_a_sequence_breaker_ends_what_dry_compares(
    apply: Any, tiny: LlamaSession
) -> None:
    (colon,) = tiny.tokenize(":", add_special=False)
    prompt = [5, 6, colon, 8, 9, 5, 6, colon]
    options = {"prompt": prompt, "dry_multiplier": 2.0, "dry_allowed_length": 1}
    free = apply({8: 10.0}, dry_sequence_breakers=(), **options)
    broken = apply({8: 10.0}, dry_sequence_breakers=(":",), **options)
    assert free[8] < 8
    assert broken[8] == 10.0


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_cuts_off_surprises_beyond_what_it_aims_at(
    apply: Any, version: int
) -> None:
    logits = {token: float(-token) / 4 for token in range(100)}
    low = apply(logits, mirostat=version, mirostat_tau=1.0)
    high = apply(logits, mirostat=version, mirostat_tau=6.0)
    assert 0 < len(low) < len(high)


def test_mirostat_stands_in_place_of_the_filters(apply: Any) -> None:
    logits = dict.fromkeys(range(100), 0.0)
    assert len(apply(logits, mirostat=2, mirostat_tau=50.0, top_k=1)) == 100


def say(session: LlamaSession, prompt: Sequence[int], **fields: Any) -> Any:
    """Return an answer that nothing cached changes."""
    params = SamplingParams(**{"temperature": 0, "max_tokens": 24, **fields})
    return session.stream(prompt, params, serve=ServeParams(exact=True)).wait()


def test_a_bias_decides_what_greedy_says(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize("hello")
    plain = say(tiny, prompt).tokens
    forced = say(tiny, prompt, logit_bias=((77, 100.0),)).tokens
    assert set(forced) == {77}
    banned = say(tiny, prompt, logit_bias=((plain[0], -math.inf),)).tokens
    assert plain[0] not in banned


def test_penalties_see_the_prompt(tiny: LlamaSession) -> None:
    start = tiny.tokenize("hello")
    prompt = [*start, *say(tiny, start, max_tokens=40).tokens]
    (plain,) = say(tiny, prompt, max_tokens=1).tokens
    assert plain in prompt[-64:]
    one = {"max_tokens": 1, "repeat_penalty": 10.0}
    assert say(tiny, prompt, **one).tokens[0] not in prompt[-64:]
    assert say(tiny, prompt, repeat_last_n=0, **one).tokens == (plain,)


def repeats(tokens: Sequence[int]) -> int:
    """How often the commonest four tokens in a row stand there."""
    return Counter(zip(*(tokens[at:] for at in range(4)), strict=False)).most_common(1)[
        0
    ][1]


def test_dry_breaks_a_loop(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize("hello")
    assert repeats(say(tiny, prompt, max_tokens=100).tokens) > 5
    assert repeats(say(tiny, prompt, max_tokens=100, dry_multiplier=9.0).tokens) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"mirostat": 1},
        {"mirostat": 2},
        {"xtc_probability": 0.5},
        {"typical_p": 0.9},
    ],
)
def test_a_seed_gives_the_same_answer_again(
    tiny: LlamaSession, fields: dict[str, Any]
) -> None:
    prompt = tiny.tokenize("hello")
    fields = {"temperature": 2.0, "top_k": 0, "top_p": 1.0, **fields}
    one, again, other = (say(tiny, prompt, seed=seed, **fields) for seed in (7, 7, 8))
    assert one.tokens == again.tokens
    assert one.tokens != other.tokens


@pytest.mark.parametrize("seed", [-1, 2**32 - 1, 2**64])
def test_every_seed_is_a_seed(tiny: LlamaSession, seed: int) -> None:
    # llama.cpp takes 2**32 - 1 as "draw one".
    prompt = tiny.tokenize("hello")
    found = {say(tiny, prompt, temperature=2.0, seed=seed).tokens for _ in range(4)}
    assert len(found) == 1
    reported = say(tiny, prompt, temperature=2.0, seed=seed).seed
    assert say(tiny, prompt, temperature=2.0, seed=reported).tokens in found


def test_a_drawn_seed_is_never_the_one_that_means_draw() -> None:
    assert all(draw_seed(SamplingParams()) < 2**32 - 1 for _ in range(100))


def test_top_logprobs_are_the_log_softmax_of_the_models_own_logits(
    tiny: LlamaSession,
) -> None:
    prompt = tiny.tokenize("hello world and")
    generation = say(
        tiny,
        prompt,
        temperature=1.5,
        seed=3,
        top_logprobs=5,
        logit_bias=((40, 3.0),),
        repeat_penalty=2.0,
    )
    sequence = [*prompt, *generation.tokens]
    rows = np.concatenate(list(tiny.logits(sequence, first=len(prompt) - 1)))
    rows = rows[:-1].astype(np.float64)
    rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
    assert len(generation.logprobs) == len(generation.tokens) == len(rows)
    for token, found, row in zip(
        generation.tokens, generation.logprobs, rows, strict=True
    ):
        assert found.logprob == pytest.approx(row[token], abs=5e-3)
        best = sorted(row, reverse=True)[:5]
        assert [logprob for _, logprob in found.top] == pytest.approx(best, abs=5e-3)
        for one, logprob in found.top:
            assert logprob == pytest.approx(row[one], abs=5e-3)


def test_top_logprobs_0_gives_the_tokens_own_and_none_gives_none(
    tiny: LlamaSession,
) -> None:
    prompt = tiny.tokenize("hello")
    zero = say(tiny, prompt, top_logprobs=0)
    assert all(one.top == () and one.logprob < 0 for one in zero.logprobs)
    assert say(tiny, prompt).logprobs == ()


def test_an_answer_without_a_filter_needs_no_chain() -> None:
    assert is_plain_greedy(SamplingParams(temperature=0, top_k=3, min_p=0.5))
    assert not is_plain_greedy(SamplingParams(temperature=0, dry_multiplier=1.0))
    assert not is_plain_greedy(SamplingParams(temperature=0, logit_bias=((1, 1.0),)))
    assert not is_plain_greedy(SamplingParams(temperature=0, repeat_penalty=1.1))
    assert not is_plain_greedy(SamplingParams(temperature=0.1))
