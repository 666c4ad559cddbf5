"""Answers that ended lately: how many tokens and how long, never what was said."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from localkit.runtime.values import FinishReason, Generation

MOST: Final = 200
"""Requests that are remembered; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class FinishedRequest:
    """What one answer took."""

    model: str
    """Model ref."""
    ended: datetime
    """UTC."""
    n_prompt: int
    n_reused: int
    """Prompt tokens that were in the KV cache already."""
    n_generated: int
    ttft_s: float
    """From the request to the first sampled token, waiting included."""
    prefill_per_s: float
    """NaN where nothing was computed."""
    decode_per_s: float
    """NaN for fewer than two tokens."""
    finish_reason: FinishReason


class Requests:
    """The last `MOST` answers of all models; any thread."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        # Appending and copying a deque are each one step to other threads.
        self._latest: deque[FinishedRequest] = deque(maxlen=MOST)
        self.n_ended = 0
        """How many there were, forgotten ones included; about, under many threads."""

    def note(
        self, model: str, generation: Generation, *, reason: FinishReason | None = None
    ) -> None:
        """Remember an answer that has ended.

        Args:
            model: Its ref.
            generation: What it was.
            reason: How it ended, where that is not what ``generation`` says.
        """
        usage, timings = generation.usage, generation.timings
        self.n_ended += 1
        self._latest.append(
            FinishedRequest(
                model=model,
                ended=datetime.now(UTC),
                n_prompt=usage.n_prompt,
                n_reused=usage.n_reused,
                n_generated=usage.n_generated,
                ttft_s=timings.ttft_s,
                prefill_per_s=timings.prefill_per_s(usage),
                decode_per_s=timings.decode_per_s(usage),
                finish_reason=reason or generation.finish_reason,
            )
        )

    def latest(self) -> list[FinishedRequest]:
        """Return them, the latest first."""
        return list(reversed(self._latest.copy()))
