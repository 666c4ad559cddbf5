"""Values passed up while work goes on: progress, cancellation, usage, timings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of how far a step has come."""

    step: str
    """What is being done, in words: ``hashing``, ``quantizing Q4_K_M``."""
    done: float
    """How much is done, in ``unit``."""
    total: float | None = None
    """How much there is, in ``unit``; None when unknown."""
    unit: str = ""
    """``B`` for bytes, ``tokens``, ``items``, … ; empty for a plain count."""


OnProgress = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """Drop the report: the default of every ``on_progress``."""


class CancelToken:
    """A flag that one thread raises and another looks at between steps."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        """Start unset."""
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask whoever holds this token to stop at the next step."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether stopping was asked for."""
        return self._event.is_set()


@dataclass(frozen=True, slots=True)
class Usage:
    """Exact token counts of one request."""

    n_prompt: int
    """Tokens of the prompt, template and control tokens included."""
    n_generated: int
    """Tokens sampled, the one that ended the answer included."""
    n_reused: int = 0
    """Prompt tokens that were already in the KV cache and not computed again."""
    n_drafted: int = 0
    """Tokens guessed ahead by speculation."""
    n_accepted: int = 0
    """Drafted tokens that the model chose as well."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one request went, in seconds."""

    prefill_s: float
    """From the first prompt token computed to the first logits."""
    decode_s: float
    """From the first sampled token to the last."""
    ttft_s: float
    """From the request to the first sampled token, waiting included."""
    load_s: float = 0.0
    """Loading the model, when this request caused it."""

    def prefill_per_s(self, usage: Usage) -> float:
        """Return prompt tokens per second of the prefill phase (NaN if none)."""
        computed = usage.n_prompt - usage.n_reused
        return computed / self.prefill_s if self.prefill_s > 0 else float("nan")

    def decode_per_s(self, usage: Usage) -> float:
        """Return generated tokens per second of the decode phase (NaN if < 2).

        The first token comes out of the prefill, so ``n_generated - 1`` tokens
        were decoded in ``decode_s``.
        """
        if usage.n_generated < 2 or self.decode_s <= 0:
            return float("nan")
        return (usage.n_generated - 1) / self.decode_s
