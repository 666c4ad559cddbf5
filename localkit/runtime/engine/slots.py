"""Slots: the sequences of one context, and the prefixes they keep.

A slot whose job has ended keeps its tokens in the KV cache. A new job takes the
longest common prefix with any slot, running ones included, from there.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from localkit.runtime.engine.jobs import order
from localkit.runtime.engine.plan import CHUNK_STEP, LEAST_CHUNK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.runtime.engine.context import Context
    from localkit.runtime.engine.jobs import Job
    from localkit.runtime.params import Adapter

# Waiting for a running job to compute a shared prefix pays from about here on:
# a prompt of this length costs no more than one more decode step.
_WORTH_WAITING = 16
# A shorter end is cut off a cached sequence: a copy would cost another sequence its
# slot, and with it all that it holds.
_WORTH_KEEPING = 16


@dataclass(slots=True, eq=False)
class Slot:
    """One sequence id and what its KV cells hold."""

    sequence: int
    tokens: list[int] = field(default_factory=list)
    """In order of position."""
    job: Job | None = None
    adapters: tuple[Adapter, ...] = ()
    """What the cells were computed with."""
    n_exact: int = 0
    """First tokens that were computed alone, from the first cell on, in long chunks."""
    n_shared: int = 0
    """First tokens whose cells another slot has as well, or had."""
    used: int = 0
    """When it was released last, counted in releases."""


class Donor(NamedTuple):
    """Where a job's prefix lies already."""

    slot: Slot | None
    n_common: int
    n_promised: int
    """Common tokens once the jobs in progress have computed theirs."""

    @property
    def is_growing(self) -> bool:
        """Whether another job is about to compute more of the prefix."""
        return self.n_promised >= self.n_common + _WORTH_WAITING


class Slots:
    """All slots of a context. Owner thread only."""

    def __init__(
        self, context: Context, n_slots: int, *, n_swa: int, cut: bool
    ) -> None:
        """Start empty.

        Args:
            context: The cells.
            n_slots: Sequences side by side.
            n_swa: Width of sliding-window attention; 0 without.
            cut: Whether a sequence can be shortened; recurrent ones cannot.
        """
        self._context = context
        self._n_swa = n_swa
        self._cut = cut
        self._clock = itertools.count(1)
        self.all = [Slot(sequence) for sequence in range(n_slots)]
        self._running: list[Slot] = []

    @property
    def running(self) -> list[Slot]:
        """Slots with a job: interactive before bulk, the oldest first."""
        return list(self._running)

    @property
    def n_running(self) -> int:
        """How many slots have a job. Any thread."""
        return len(self._running)

    @property
    def n_cells(self) -> int:
        """Cells in use, at least: shared prefixes count once. Any thread."""
        own = sum(max(0, len(slot.tokens) - slot.n_shared) for slot in self.all)
        return own + max(slot.n_shared for slot in self.all)

    @property
    def idle(self) -> list[Slot]:
        """Slots without a job, the one used longest ago first."""
        free = [slot for slot in self.all if slot.job is None]
        return sorted(free, key=lambda slot: slot.used)

    def find(self, job: Job) -> Donor:
        """Return the slot with the longest prefix of ``job``."""
        # The first wanted output has to be computed, whoever has it cached.
        wanted = job.tokens[: job.first_output]
        best, most, promised = None, 0, 0
        for slot in self.all:
            if slot.adapters != job.serve.adapters:
                continue
            n_common = self._usable(slot, common_prefix(slot.tokens, wanted))
            if n_common > most:
                best, most = slot, n_common
            if slot.job is not None:
                promised = max(promised, common_prefix(slot.job.tokens, wanted))
        return Donor(best, most, promised if self._cut else most)

    def admit_alone(self, job: Job) -> None:
        """Put ``job`` where every cell lies as if it were the first one ever.

        Sums over cells depend on where these lie. So only a prefix that was
        computed this way is taken, at the beginning of the cells, and the rest
        is computed in chunks as of an empty cache (`chunk_end`). What an answer
        said, or a continuation that was scored, is none: it was computed a few
        tokens at a time.
        """
        n_prompt = job.first_output + 1
        wanted = job.tokens[: max(0, n_prompt - LEAST_CHUNK)]
        slot, n_common = self.all[0], 0
        # An image ends chunks where it begins, wherever that is.
        if slot.adapters == job.serve.adapters and not job.media:
            kept = slot.tokens[: slot.n_exact]
            n_common = common_prefix(kept, wanted) // CHUNK_STEP * CHUNK_STEP
            n_common = self._usable(slot, n_common)
        for other in self.all[1:]:
            if other.tokens:
                self.clear(other)
        if n_common:
            self.shorten(slot, n_common)
        else:
            self.clear_all()
        self._start(slot, job)
        # A prompt is cut into chunks that are all long enough only if two fit.
        long = n_prompt >= LEAST_CHUNK and self._context.n_ubatch >= 2 * LEAST_CHUNK
        if long and not job.media:
            slot.n_exact = n_prompt // CHUNK_STEP * CHUNK_STEP

    def admit(self, job: Job, donor: Donor) -> None:
        """Put ``job`` into an idle slot, which there must be, with that prefix."""
        self._start(self._place(donor), job)

    def _start(self, slot: Slot, job: Job) -> None:
        slot.job, slot.adapters = job, job.serve.adapters
        slot.n_exact = 0
        self._running.append(slot)
        self._running.sort(key=_order)
        job.start(len(slot.tokens))

    def release(self, slot: Slot) -> None:
        """Take the job out; what it computed stays for the next one."""
        slot.job = None
        slot.used = next(self._clock)
        self._running.remove(slot)

    def _usable(self, slot: Slot, n_common: int) -> int:
        if n_common == len(slot.tokens) and slot.job is None:
            return n_common
        if not self._cut:
            return 0
        if self._n_swa and n_common:
            kept = self._context.first_position(slot.sequence)
            if kept > max(0, n_common - self._n_swa):
                return 0
        return n_common

    def _place(self, donor: Donor) -> Slot:
        """Return an idle slot that holds the donor's prefix and nothing else."""
        idle = self.idle
        source, n_common = donor.slot, donor.n_common
        if source is None:
            self.clear(idle[0])
            return idle[0]
        others = [slot for slot in idle if slot is not source]
        n_lost = len(source.tokens) - n_common
        if source.job is None and (n_lost < _WORTH_KEEPING or not others):
            self.shorten(source, n_common)
            return source
        target = others[0]
        self.clear(target)
        self._context.copy_sequence(source.sequence, target.sequence, end=n_common)
        target.tokens = source.tokens[:n_common]
        target.n_shared = n_common
        source.n_shared = max(source.n_shared, n_common)
        return target

    def shorten(self, slot: Slot, n_tokens: int) -> None:
        """Forget all but the first ``n_tokens``; all of them if it cannot be cut."""
        if n_tokens >= len(slot.tokens):
            return
        if not self._context.drop_sequence(slot.sequence, start=n_tokens):
            self._context.drop_sequence(slot.sequence)
            n_tokens = 0
        del slot.tokens[n_tokens:]
        slot.n_exact = min(slot.n_exact, n_tokens)
        slot.n_shared = min(slot.n_shared, n_tokens)

    def clear(self, slot: Slot) -> None:
        """Forget what a slot holds."""
        self._context.drop_sequence(slot.sequence)
        slot.tokens, slot.n_exact, slot.n_shared = [], 0, 0

    def clear_all(self) -> None:
        """Forget what every slot holds."""
        self._context.clear()
        for slot in self.all:
            slot.tokens, slot.n_exact, slot.n_shared = [], 0, 0

    def give_back_cells(self) -> bool:
        """Forget the idle prefix used longest ago; False when there is none."""
        for slot in self.idle:
            if slot.tokens:
                self.clear(slot)
                return True
        return False


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens the two begin with in common."""
    longest = min(len(one), len(other))
    if one[:longest] == other[:longest]:
        return longest
    # Comparing slices runs in C; halving finds the place in a few of them.
    low, high = 0, longest
    while low + 1 < high:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low + (low < longest and one[low] == other[low])


def _order(slot: Slot) -> tuple[bool, int]:
    return order(slot.job) if slot.job is not None else (True, 0)
