"""Hostile and extreme sampling params: refused by name, or survived."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import UsageError
from localkit.runtime.params import SamplingParams

if TYPE_CHECKING:
    from localkit.runtime.session import LlamaSession

N_VOCAB = 281
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": NAN}, "temperature is nan"),
        ({"temperature": INF}, "temperature is inf"),
        ({"temperature": 1e-40}, "temperature is 1e-40"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 1.01}, "top_p is 1.01"),
        ({"min_p": NAN}, "min_p is nan"),
        ({"typical_p": -1.0}, "typical_p is -1.0"),
        ({"repeat_penalty": 0.0}, "repeat_penalty is 0.0"),
        ({"repeat_last_n": -1}, "repeat_last_n is -1"),
        ({"repeat_last_n": 2**40}, "repeat_last_n"),
        ({"frequency_penalty": 3.0}, "frequency_penalty is 3.0"),
        ({"presence_penalty": NAN}, "presence_penalty is nan"),
        ({"xtc_probability": 2.0}, "xtc_probability is 2.0"),
        ({"xtc_threshold": -0.1}, "xtc_threshold is -0.1"),
        ({"dry_multiplier": INF}, "dry_multiplier is inf"),
        ({"dry_base": 0.5}, "dry_base is 0.5"),
        ({"dry_allowed_length": 0}, "dry_allowed_length is 0"),
        ({"dry_penalty_last_n": -2}, "dry_penalty_last_n is -2"),
        ({"mirostat": 3}, "mirostat is 3"),
        ({"mirostat_tau": -1.0}, "mirostat_tau is -1.0"),
        ({"mirostat_eta": NAN}, "mirostat_eta is nan"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"top_logprobs": -1}, "top_logprobs is -1"),
        ({"top_logprobs": 101}, "top_logprobs is 101"),
        ({"logit_bias": ((5, NAN),)}, "logit_bias of token 5 is nan"),
        ({"logit_bias": ((5, INF),)}, "logit_bias of token 5 is inf"),
        ({"logit_bias": ((5, 1e39),)}, "logit_bias of token 5 is 1e"),
        ({"logit_bias": ((5, 0.0),) * 4097}, "logit_bias has 4097 entries"),
    ],
)
def test_R8_a_value_that_no_sampler_takes_is_refused_by_name(
    tiny: LlamaSession, fields: dict[str, Any], match: str
) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        tiny.stream([5], SamplingParams(**fields))
    assert caught.value.hint


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 100.0, "top_k": 0, "top_p": 1.0},
        {"temperature": 1e-6},
        {"top_k": 2**31 - 1},
        {"top_p": 0.0},
        {"min_p": 1.0},
        {"typical_p": 0.0},
        {"repeat_penalty": 100.0, "repeat_last_n": 2**20},
        {"frequency_penalty": -2.0, "presence_penalty": 2.0},
        {"xtc_probability": 1.0, "xtc_threshold": 0.0},
        {"dry_multiplier": 100.0, "dry_base": 100.0, "dry_allowed_length": 1},
        {"dry_multiplier": 1.0, "dry_sequence_breakers": ("", "\0", "x" * 1000)},
        {"mirostat": 1, "mirostat_tau": 0.0, "mirostat_eta": 0.0},
        {"mirostat": 1, "mirostat_tau": 100.0, "mirostat_eta": 1.0},
        {"mirostat": 2, "mirostat_tau": 0.0, "mirostat_eta": 1.0},
        {"logit_bias": tuple((token, -math.inf) for token in range(N_VOCAB))},
        {"logit_bias": ((7, 1e30), (8, -3e38)), "temperature": 0.5},
    ],
)
def test_R8_values_at_the_ends_of_their_ranges_are_survived(
    tiny: LlamaSession, fields: dict[str, Any]
) -> None:
    prompt = tiny.tokenize("hello")
    params = SamplingParams(**{"seed": 1, "max_tokens": 8, **fields})
    generation = tiny.stream(prompt, params).wait()
    assert generation.finish_reason in ("length", "stop")
    assert all(0 <= token < tiny.n_vocab for token in generation.tokens)
