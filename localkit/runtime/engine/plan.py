"""Which tokens the next decode computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.events import CancelToken
    from localkit.runtime.engine.jobs import Job
    from localkit.runtime.engine.slots import Slot

# From this many tokens on, flash attention on a CPU sums in float32; below, it
# sums in float16 (ggml's GGML_FA_TILE_Q). A prompt that ends in a short chunk
# would come out otherwise than in one piece: by 0.2 nats a token on SmolLM2 Q4_1.
LEAST_CHUNK = 64
# Repacked K-quants compute four rows of a chunk at once and the rest by other code:
# Q4_K_M came out 0.2 to 0.6 nats off where a chunk ended elsewhere than at a
# multiple of four. Sixteen leaves room for wider vectors. See design/025.
CHUNK_STEP = 16


def chunk_end(start: int, most: int, n_tokens: int) -> int:
    """Return where the chunk of a prompt that begins at ``start`` ends.

    Args:
        start: Tokens that are computed.
        most: Tokens that may be computed at once.
        n_tokens: Length of the prompt.

    Where ``most`` is twice `LEAST_CHUNK` and ``start`` a multiple of `CHUNK_STEP`,
    no chunk is shorter than that, and all but the last end at a multiple of this.
    """
    if start + most >= n_tokens or most < 2 * LEAST_CHUNK:
        return min(start + most, n_tokens)
    end = min(start + most, n_tokens - LEAST_CHUNK)
    return end - end % CHUNK_STEP


@dataclass(slots=True)
class Share:
    """One job's part of a decode."""

    slot: Slot
    job: Job
    tokens: list[int]
    outputs: list[int]
    """Indices into the batch whose logits the job wants."""
    first_row: int
    """Row of the first of them among all outputs."""


@dataclass(slots=True)
class Plan:
    """One decode: the tokens of all shares, one behind the other."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    is_decode: bool = True
    """Whether every share is the next token of an answer."""

    def is_long_for(self, token: CancelToken) -> bool:
        """Return whether this decode takes long and ``token``'s job is part of it."""
        return not self.is_decode and any(
            share.job.cancel is token for share in self.shares
        )

    def add(self, slot: Slot, job: Job, tokens: Sequence[int]) -> None:
        """Append a share that computes ``tokens`` behind what the slot holds."""
        start, at = len(slot.tokens), len(self.tokens)
        wanted = range(max(job.first_output - start, 0), len(tokens))
        outputs = [at + index for index in wanted]
        self.shares.append(Share(slot, job, list(tokens), outputs, len(self.outputs)))
        self.tokens += tokens
        self.positions += range(start, start + len(tokens))
        self.sequences += [slot.sequence] * len(tokens)
        self.outputs += outputs


def make_plan(running: Sequence[Slot], *, n_tokens: int, n_outputs: int) -> Plan:
    """Return the next decode of ``running``, which is in order of age.

    Every answer's next token first, with its guesses; then prompts, the oldest
    first, until ``n_tokens`` tokens or ``n_outputs`` wanted logits are reached.
    """
    plan = Plan()
    prompts = []
    for slot in running:
        job = slot.job
        if job is None:
            continue
        pending = job.tokens[len(slot.tokens) :]
        if len(pending) > 1:
            n_text = _text_before_image(job, len(slot.tokens))
            if n_text != 0:
                prompts.append((slot, job, pending[:n_text]))
            continue
        # Every running answer keeps room for its one token.
        room = min(n_tokens, n_outputs) - len(plan.tokens) - len(running)
        plan.add(slot, job, [*pending, *job.draft(max(0, room))])
    for slot, job, pending in prompts:
        start = len(slot.tokens)
        first_wanted = max(job.first_output - start, 0)
        room = n_tokens - len(plan.tokens)
        room = min(room, first_wanted + n_outputs - len(plan.outputs))
        if room <= 0:
            break
        plan.is_decode = False
        plan.add(
            slot, job, pending[: chunk_end(start, room, start + len(pending)) - start]
        )
    return plan


def _text_before_image(job: Job, start: int) -> int | None:
    """Return how many tokens from ``start`` on end at an image; None: there is none."""
    return min((at - start for at in job.media if at >= start), default=None)
