"""Which tokens the next decode computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.events import CancelToken
    from localkit.runtime.jobs import Job
    from localkit.runtime.slots import Slot

# From this many tokens on, flash attention on a CPU sums in float32; below, it
# sums in float16 (ggml's GGML_FA_TILE_Q). A prompt that ends in a short chunk
# would come out otherwise than in one piece: by 0.2 nats a token on SmolLM2 Q4_1.
LEAST_CHUNK = 64


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
            prompts.append((slot, job, pending))
            continue
        # Every running answer keeps room for its one token.
        room = min(n_tokens, n_outputs) - len(plan.tokens) - len(running)
        plan.add(slot, job, [*pending, *job.draft(max(0, room))])
    for slot, job, pending in prompts:
        room = n_tokens - len(plan.tokens)
        first_wanted = max(job.first_output - len(slot.tokens), 0)
        room = min(room, first_wanted + n_outputs - len(plan.outputs))
        left = len(pending) - room
        if 0 < left < LEAST_CHUNK and room >= 2 * LEAST_CHUNK:
            room -= LEAST_CHUNK - left
        if room <= 0:
            break
        plan.is_decode = False
        plan.add(slot, job, pending[:room])
    return plan
