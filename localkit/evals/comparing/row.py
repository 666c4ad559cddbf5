"""One candidate of a comparison: what it is and everything measured on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from localkit.evals.statistics.estimates import paired_difference

if TYPE_CHECKING:
    from localkit.evals.statistics.estimates import Estimate


@dataclass(frozen=True, slots=True)
class Quality:
    """Loss against the reference, on the same tokens."""

    kld: Estimate
    """Mean KL divergence from the reference, nats per token."""
    kld_p99: float
    """99th percentile over tokens, nats."""
    same_top: Estimate
    """Share of tokens where the most likely token is the reference's."""
    ln_ppl_ratio: Estimate
    """ln(perplexity / perplexity of the reference), paired by token."""
    perplexity: Estimate
    bits_per_byte: float
    n_chunks: int
    n_tokens: int
    """Scored tokens."""
    text: str = ""
    """Name of the text; empty: all texts together."""
    kld_median: float = math.nan
    kld_p90: float = math.nan
    kld_p999: float = math.nan
    kld_max: float = math.nan
    dp: Estimate | None = None
    """Mean change of the observed token's probability, as a fraction."""
    rms_dp: Estimate | None = None
    dp_percentiles: tuple[tuple[float, float], ...] = ()
    """(percentage of tokens, change of probability at most), rising."""


class Spread(NamedTuple):
    """Repeated timings of one phase, in tokens per second."""

    median: float
    low: float
    """First quartile."""
    high: float
    """Third quartile."""
    samples: tuple[float, ...]

    @property
    def relative(self) -> float:
        """Interquartile range over the median."""
        return (self.high - self.low) / self.median if self.median else math.nan

    def keeps_up_with(self, other: Spread) -> bool:
        """Whether the repetitions do not show this one to be slower.

        Repetitions run in turns, so the n-th of both met the same machine: the
        logarithms of their ratios are the sample, and the 95 % interval of their
        mean (Student's t) must lie below zero to tell the two apart.
        """
        ratio = paired_difference(np.log(self.samples), np.log(other.samples))
        return not ratio.high < 0


class DepthSpeed(NamedTuple):
    """Speed behind a context that is filled already."""

    depth: int
    """Tokens in the KV cache before the phase begins."""
    prefill: Spread
    decode: Spread


class ClientSpeed(NamedTuple):
    """What each of several clients sees who ask at once; seconds."""

    n_clients: int
    ttft_p50_s: float
    ttft_p95_s: float
    itl_p50_s: float
    itl_p95_s: float
    decode_per_s: float
    """Tokens per second of all clients together."""


class Energy(NamedTuple):
    """Energy of decoding."""

    per_token_j: float
    """Joule per token; NaN where the platform does not tell."""
    method: str
    """``NVML total energy``, ``RAPL package``, or why there is none."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Prefill and decode speed, one stream; and what else was timed."""

    prefill: Spread
    decode: Spread
    noise: str = ""
    """Why the figures are noisy; empty when they are not."""
    at_depth: tuple[DepthSpeed, ...] = ()
    under_load: tuple[ClientSpeed, ...] = ()
    load_s: Spread | None = None
    """Seconds to load the model, its file in the page cache (the rates are seconds
    here)."""
    energy: Energy | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the loaded model in a process of its own."""

    weights: int
    kv: int
    compute: int
    rss_mapped: int
    """Resident pages backed by the file: shared, and dropped under pressure."""
    rss_anonymous: int
    """Resident pages of the process alone."""
    vram: int | None
    """None: no GPU in use."""
    peak: int | None = None
    """Most bytes at once while it computed: VRAM where a GPU is in use, else the
    resident set; None: not measured."""
    estimate: int | None = None
    """What was planned for weights, KV cache and compute before loading."""

    @property
    def total(self) -> int:
        """Weights, KV cache and compute buffers."""
        return self.weights + self.kv + self.compute

    @property
    def needed(self) -> int:
        """What the budget has to hold: VRAM when a GPU is in use, else the total."""
        return self.total if self.vram is None else self.vram


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Score on one task, and the paired difference from the reference."""

    name: str
    score: Estimate
    """Mean score; of right and wrong answers the share of right ones (Wilson)."""
    n_items: int
    """Items scored."""
    n_unscored: int
    difference: Estimate | None
    """Score minus the reference's on the same items; None for the reference."""
    n_lost: int = 0
    """Right in the reference, wrong here."""
    n_gained: int = 0
    """Wrong in the reference, right here."""
    p_value: float = math.nan
    """Against the reference: exact McNemar where answers are right or wrong, else the
    paired test that `difference` names."""
    p_holm: float = math.nan
    """The same, adjusted for the number of candidates by Holm."""
    n_needed: int | None = None
    """Items that would tell a difference of this size apart; None: unknown."""
    metric: str = "accuracy"
    """What the score is: ``accuracy``, or the scorer's name, ``pass@3``, …"""
    extra: tuple[tuple[str, Estimate], ...] = ()
    """Further scores by name."""


class MemoryPlan(NamedTuple):
    """Estimate of the bytes at one context length."""

    n_ctx: int
    weights: int
    kv: int
    compute: int

    @property
    def total(self) -> int:
        """All three kinds."""
        return self.weights + self.kv + self.compute


class Exclusion(NamedTuple):
    """Why the verdict may not take a candidate."""

    because: Literal["memory", "quality", "speed", "unmeasured"]
    text: str
    """In words, with the figures."""


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate; a part that was not measured, or failed, is None."""

    label: str
    """Quant label; with the tag behind it where two candidates share the label."""
    ref: str
    weights_digest: str
    quant: str
    bits_per_weight: float
    """Measured from the tensor table, not from the label."""
    type_mix: str
    """Largest shares of the bytes: ``q4_K 62 %, q6_K 30 %, …``."""
    file_size: int
    lossy_origin: str | None
    is_reference: bool = False
    quality: Quality | None = None
    """On all texts together."""
    by_text: tuple[Quality, ...] = ()
    """One a text, where there are several."""
    tasks: tuple[TaskResult, ...] = ()
    """One a task, in the order they were asked; the first is in the overview."""
    speed: Speed | None = None
    memory: Memory | None = None
    plans: tuple[MemoryPlan, ...] = ()
    """Estimates by context length, shortest first."""
    max_ctx: int | None = None
    """Longest context whose estimate fits the budget, at most the training context;
    0: none does; None: not computed."""
    variant: str = ""
    """How it is loaded and asked where that differs: ``q8_0 KV, ctx 8192``."""
    pareto: bool = False
    """No other is as small, as fast and as close, and better in one of these."""
    excluded: Exclusion | None = None
    """None: the verdict may take it."""
    note: str = ""
    """What a reader has to know about this row alone."""

    @property
    def task(self) -> TaskResult | None:
        """The first task's; None when no task was asked."""
        return self.tasks[0] if self.tasks else None

    @property
    def kld(self) -> float:
        """Mean KL divergence; NaN when unscored."""
        return self.quality.kld.value if self.quality else math.nan

    @property
    def kld_bound(self) -> float:
        """Upper end of its 95 % interval; NaN when unscored."""
        return self.quality.kld.high if self.quality else math.nan

    @property
    def decode_per_s(self) -> float:
        """Median decode speed; NaN when not measured."""
        return self.speed.decode.median if self.speed else math.nan


class KldStep(NamedTuple):
    """Two candidates next to each other in KL order, compared chunk by chunk."""

    closer: str
    further: str
    difference: Estimate
    """Mean KL of ``further`` minus that of ``closer``, paired by token."""

    @property
    def told_apart(self) -> bool:
        """Whether the 95 % interval leaves out zero."""
        return self.difference.low > 0 or self.difference.high < 0
