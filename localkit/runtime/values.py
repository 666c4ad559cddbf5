"""What a runtime hands back: facts about a session, answers, scores."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from localkit.events import Timings, Usage

FinishReason = Literal["stop", "length", "tool_calls", "interrupted", "error"]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything about the runtime that may change a figure."""

    engine: str
    """``llama-cpp-python 0.3.36 (llama.cpp 0.5.0-dev)``."""
    backend: str
    """``CPU``, ``CUDA``, ``Metal``, …"""
    device: str
    """Processor or GPU as the system names it."""
    features: str
    """Instruction sets the engine was built for, sorted."""
    n_ctx: int
    n_batch: int
    n_ubatch: int
    n_seq_max: int
    n_threads: int
    n_gpu_layers: int
    kv_type: str
    flash_attn: str
    """``on``, ``off`` or ``auto``."""

    def as_dict(self) -> dict[str, str | int]:
        """Return the fields as a flat mapping for records."""
        return asdict(self)

    def numeric(self) -> dict[str, str | int]:
        """Return the fields that may change a logit; threads and context do not."""
        keep = ("engine", "backend", "features", "n_ubatch", "kv_type", "flash_attn")
        return {key: value for key, value in asdict(self).items() if key in keep}


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes the engine allocated for one session, by kind."""

    weights: int
    kv: int
    compute: int
    by_device: Mapping[str, int] = field(default_factory=dict)
    """Sum of the three per device name."""

    @property
    def total(self) -> int:
        """All three kinds."""
        return self.weights + self.kv + self.compute


@dataclass(frozen=True, slots=True)
class Activity:
    """What a session is doing now."""

    n_slots: int
    n_busy: int
    """Slots with an answer or score in progress."""
    n_queued: int
    """Requests that wait for a slot."""
    n_computed: int
    """Tokens computed since the load; reused ones are not among them."""
    decode_per_s: float
    """Tokens decoded per second over the last seconds, all slots; 0 when idle."""
    n_threads: int
    """Engine threads in use now."""
    prefill_per_s: float = 0.0
    """Tokens computed per second in the steps that read prompts, over the last
    seconds; 0 when there were none."""
    n_cells: int = 0
    """Cells of the KV cache in use, idle prefixes included; at least so many: what
    slots share is counted once."""


class StreamTimes(NamedTuple):
    """Seconds that several texts side by side took, by phase."""

    prefill_s: float
    decode_s: float


class TokenLogprob(NamedTuple):
    """Probability of a sampled token, before temperature and filters."""

    logprob: float
    """Natural log."""
    top: tuple[tuple[int, float], ...] = ()
    """(token, logprob) of the likeliest tokens, likeliest first."""


class PromptLogprob(NamedTuple):
    """Probability of a token of the prompt, after those before it."""

    token: int
    logprob: float
    """Natural log."""
    top: tuple[tuple[int, float], ...] = ()
    """(token, logprob) of the likeliest tokens there, likeliest first."""


class Piece(NamedTuple):
    """One step of a streamed answer."""

    text: str
    """New text; may be empty while a character or a stop text is incomplete."""
    token: int
    """The token that was sampled."""
    logprob: TokenLogprob | None = None
    """When ``top_logprobs`` was asked for."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A finished answer: what was sampled and how it ended."""

    text: str
    tokens: tuple[int, ...]
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    seed: int
    logprobs: tuple[TokenLogprob, ...] = ()
    """One per token, when ``top_logprobs`` was asked for."""
    prompt_logprobs: tuple[PromptLogprob, ...] = ()
    """One per token of the prompt but the first, which follows nothing; when
    ``prompt_logprobs`` was asked for."""
    token_s: tuple[float, ...] = ()
    """Seconds from the request to each token; empty where nobody kept the time."""
    notes: tuple[str, ...] = ()
    """What the caller should know: a slowed machine, a shifted context."""


class ContinuationScore(NamedTuple):
    """How likely a continuation is after its prompt."""

    logprobs: NDArray[np.float64]
    """Natural log of each continuation token's probability, shape (n_tokens,)."""
    is_greedy: bool
    """Whether each token was the most likely one."""
