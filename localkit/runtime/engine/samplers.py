"""Sampling params to a llama.cpp sampler chain."""

from __future__ import annotations

import ctypes
import math
import secrets
from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localkit.runtime.params import SamplingParams
    from localkit.runtime.vocabulary import Vocabulary

# (field, lowest, highest): outside, llama.cpp divides by zero or reads past arrays.
_RANGES: tuple[tuple[str, float, float], ...] = (
    ("temperature", 0.0, 100.0),
    ("top_k", 0, 2**31 - 1),
    ("top_p", 0.0, 1.0),
    ("min_p", 0.0, 1.0),
    ("typical_p", 0.0, 1.0),
    ("repeat_penalty", 0.01, 100.0),
    ("repeat_last_n", 0, 2**20),
    ("frequency_penalty", -2.0, 2.0),
    ("presence_penalty", -2.0, 2.0),
    ("xtc_probability", 0.0, 1.0),
    ("xtc_threshold", 0.0, 1.0),
    ("dry_multiplier", 0.0, 100.0),
    ("dry_base", 1.0, 100.0),
    ("dry_allowed_length", 1, 2**20),
    ("dry_penalty_last_n", -1, 2**20),
    ("mirostat", 0, 2),
    ("mirostat_tau", 0.0, 100.0),
    ("mirostat_eta", 0.0, 1.0),
)
_MOST_TOP_LOGPROBS = 100
_MOST_BIASES = 4096
# Beyond these, float32 overflows to infinity, and llama.cpp draws the last candidate.
_LEAST_TEMPERATURE, _MOST_BIAS = 1e-30, 1e30
# llama.cpp takes 2**32 - 1 as "draw one", and tells nobody which it drew.
_N_SEEDS = 2**32 - 1
# Candidates that version 1 of mirostat estimates its exponent from, as llama.cpp.
_MIROSTAT_M = 100


def check(params: SamplingParams) -> None:
    """Refuse values that no sampler takes.

    Raises:
        UsageError: names the field, its value and the range.
    """
    for name, low, high in _RANGES:
        value = getattr(params, name)
        if not (math.isfinite(value) and low <= value <= high):
            msg = f"{name} is {value}"
            raise UsageError(msg, hint=f"give a value from {low:g} to {high:g}")
    if 0 < params.temperature < _LEAST_TEMPERATURE:
        msg = f"temperature is {params.temperature}"
        raise UsageError(msg, hint="give 0 to take the most likely token every time")
    if params.max_tokens is not None and params.max_tokens < 1:
        msg = f"max_tokens is {params.max_tokens}"
        raise UsageError(msg, hint="give at least 1, or None for no cap")
    for name in ("top_logprobs", "prompt_logprobs"):
        n_top = getattr(params, name)
        if n_top is not None and not 0 <= n_top <= _MOST_TOP_LOGPROBS:
            msg = f"{name} is {n_top}"
            raise UsageError(msg, hint=f"give a value from 0 to {_MOST_TOP_LOGPROBS}")
    if len(params.logit_bias) > _MOST_BIASES:
        msg = f"logit_bias has {len(params.logit_bias)} entries"
        raise UsageError(msg, hint=f"give at most {_MOST_BIASES}")
    for token, bias in params.logit_bias:
        if math.isnan(bias) or bias > _MOST_BIAS:
            msg = f"logit_bias of token {token} is {bias}"
            raise UsageError(msg, hint="give a number; -inf forbids the token")


def is_plain_greedy(params: SamplingParams) -> bool:
    """Return whether the next token is simply the one with the largest logit.

    numpy's argmax over 49k logits takes 3 us; llama.cpp's greedy sampler first
    copies them into structs, 150 us.
    """
    return (
        params.temperature == 0
        and not params.logit_bias
        and not _has_penalties(params)
        and params.dry_multiplier == 0
    )


def draw_seed(params: SamplingParams) -> int:
    """Return the asked seed, or a fresh one, as one of llama.cpp's."""
    if params.seed is None:
        return secrets.randbelow(_N_SEEDS)
    return params.seed % _N_SEEDS


class Chain:
    """A chain of samplers in C, with a memory of the tokens it has seen."""

    def __init__(
        self,
        engine: Any,
        vocabulary: Vocabulary,
        params: SamplingParams,
        *,
        seed: int,
        prompt: Sequence[int],
        n_ctx: int,
    ) -> None:
        """Build it in llama.cpp's own order, and let it see the prompt.

        Bias, penalties, DRY, top_k, typical, top_p, min_p, XTC, temperature, then
        the draw. Mirostat stands in place of the filters. Temperature 0 is greedy
        after bias and penalties.
        """
        self._engine = engine
        self.native = engine.llama_sampler_chain_init(
            engine.llama_sampler_chain_default_params()
        )
        for link in _links(engine, vocabulary, params, seed, n_ctx):
            engine.llama_sampler_chain_add(self.native, link)  # frees its links
        if _has_penalties(params) or params.dry_multiplier > 0:
            for token in prompt:
                engine.llama_sampler_accept(self.native, token)

    def free(self) -> None:
        """Free the chain and its links."""
        self._engine.llama_sampler_free(self.native)


def _has_penalties(params: SamplingParams) -> bool:
    return params.repeat_last_n > 0 and (
        params.repeat_penalty != 1
        or params.frequency_penalty != 0
        or params.presence_penalty != 0
    )


def _links(
    engine: Any, vocabulary: Vocabulary, params: SamplingParams, seed: int, n_ctx: int
) -> Iterator[Any]:
    n_vocab = vocabulary.n_tokens
    if params.logit_bias:
        biases = (engine.llama_logit_bias * len(params.logit_bias))(*params.logit_bias)
        yield engine.llama_sampler_init_logit_bias(n_vocab, len(biases), biases)
    if _has_penalties(params):
        yield engine.llama_sampler_init_penalties(
            n_vocab,
            params.repeat_last_n,
            params.repeat_penalty,
            params.frequency_penalty,
            params.presence_penalty,
        )
    if params.dry_multiplier > 0:
        yield _dry(engine, vocabulary, params, n_ctx)
    if params.temperature == 0:
        yield engine.llama_sampler_init_greedy()
    elif params.mirostat:
        yield engine.llama_sampler_init_temp(params.temperature)
        yield _mirostat(engine, params, seed, n_vocab)
    else:
        yield from _filters(engine, params, seed)
        yield engine.llama_sampler_init_temp(params.temperature)
        yield engine.llama_sampler_init_dist(seed)


def _filters(engine: Any, params: SamplingParams, seed: int) -> Iterator[Any]:
    if params.top_k > 0:
        yield engine.llama_sampler_init_top_k(params.top_k)
    if params.typical_p < 1:
        yield engine.llama_sampler_init_typical(params.typical_p, 1)
    if params.top_p < 1:
        yield engine.llama_sampler_init_top_p(params.top_p, 1)
    if params.min_p > 0:
        yield engine.llama_sampler_init_min_p(params.min_p, 1)
    if params.xtc_probability > 0:
        yield engine.llama_sampler_init_xtc(
            params.xtc_probability, params.xtc_threshold, 1, seed
        )


def _dry(
    engine: Any, vocabulary: Vocabulary, params: SamplingParams, n_ctx: int
) -> Any:
    breakers = [text.encode() for text in params.dry_sequence_breakers]
    texts = (ctypes.c_char_p * len(breakers))(*breakers)
    last_n = params.dry_penalty_last_n
    return engine.llama_sampler_init_dry(
        vocabulary.native,
        params.dry_multiplier,
        params.dry_base,
        params.dry_allowed_length,
        n_ctx if last_n < 0 else last_n,
        texts,
        len(breakers),
    )


def _mirostat(engine: Any, params: SamplingParams, seed: int, n_vocab: int) -> Any:
    tau, eta = params.mirostat_tau, params.mirostat_eta
    if params.mirostat == 1:
        return engine.llama_sampler_init_mirostat(n_vocab, seed, tau, eta, _MIROSTAT_M)
    return engine.llama_sampler_init_mirostat_v2(seed, tau, eta)
