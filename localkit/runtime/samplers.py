"""Sampling params to a llama.cpp sampler chain."""

from __future__ import annotations

import math
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localkit.runtime.protocol import SamplingParams

# (field, lowest, highest): outside, llama.cpp divides by zero or reads past arrays.
_RANGES: tuple[tuple[str, float, float], ...] = (
    ("temperature", 0.0, 100.0),
    ("top_k", 0, 2**31 - 1),
    ("top_p", 0.0, 1.0),
    ("min_p", 0.0, 1.0),
    ("repeat_penalty", 0.01, 100.0),
    ("repeat_last_n", 0, 2**20),
)


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
    if params.max_tokens is not None and params.max_tokens < 1:
        msg = f"max_tokens is {params.max_tokens}"
        raise UsageError(msg, hint="give at least 1, or None for no cap")


def is_plain_greedy(params: SamplingParams) -> bool:
    """Return whether the next token is simply the one with the largest logit."""
    return params.temperature == 0 and params.repeat_penalty == 1.0


def draw_seed(params: SamplingParams) -> int:
    """Return the asked seed, or a fresh one of 32 bits."""
    return secrets.randbits(32) if params.seed is None else params.seed % 2**32


@contextmanager
def drawing(
    engine: Any,
    params: SamplingParams,
    *,
    seed: int,
    n_vocab: int,
    sample: Callable[[Any], int],
) -> Iterator[Callable[[], int]]:
    """Yield a function that draws the next token with a chain of samplers.

    Penalties, top_k, top_p, min_p, temperature, then the draw: llama.cpp's own
    order. Temperature 0 is greedy after the penalties. ``sample`` applies the
    chain to the last logits.
    """
    chain = engine.llama_sampler_chain_init(engine.llama_sampler_chain_default_params())
    for link in _links(engine, params, seed, n_vocab):
        engine.llama_sampler_chain_add(chain, link)  # the chain frees its links
    try:
        yield lambda: sample(chain)
    finally:
        engine.llama_sampler_free(chain)


def _links(
    engine: Any, params: SamplingParams, seed: int, n_vocab: int
) -> Iterator[Any]:
    if params.repeat_penalty != 1.0 and params.repeat_last_n > 0:
        yield engine.llama_sampler_init_penalties(
            n_vocab, params.repeat_last_n, params.repeat_penalty, 0.0, 0.0
        )
    if params.temperature == 0:
        yield engine.llama_sampler_init_greedy()
        return
    if params.top_k > 0:
        yield engine.llama_sampler_init_top_k(params.top_k)
    if params.top_p < 1:
        yield engine.llama_sampler_init_top_p(params.top_p, 1)
    if params.min_p > 0:
        yield engine.llama_sampler_init_min_p(params.min_p, 1)
    yield engine.llama_sampler_init_temp(params.temperature)
    yield engine.llama_sampler_init_dist(seed)
