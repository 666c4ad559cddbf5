"""Who gets a slot next: interactive before bulk, first come first served."""

from __future__ import annotations

from bisect import insort
from itertools import pairwise
from typing import TYPE_CHECKING

from localkit.runtime.engine.jobs import order
from localkit.runtime.engine.slots import common_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localkit.runtime.engine.jobs import Job
    from localkit.runtime.engine.slots import Slot, Slots
    from localkit.runtime.params import Adapter

# Cells kept for what a running answer has still to say. When they do not last,
# the youngest job starts over later.
_RESERVE = 32
# How far a job that waits for a shared prefix may be overtaken, and what one
# step may look at.
_LOOK_AHEAD = 32


class Admission:
    """Jobs without a slot. Owner thread only."""

    def __init__(self, slots: Slots, *, n_ctx: int) -> None:
        """Start empty."""
        self._slots = slots
        self._n_ctx = n_ctx
        self._waiting: list[Job] = []
        self._put_back: set[int] = set()
        """Numbers of those that gave up their cells since a job ended."""

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def add(self, job: Job) -> None:
        """Queue a job behind those of its priority."""
        insort(self._waiting, job, key=order)

    def put_back(self, job: Job) -> None:
        """Queue a job that cells ran out for, until another one has ended.

        Its number puts it before those that came later. At once would be too
        soon, whatever arithmetic says: it could take the same cells forever.
        """
        self.add(job)
        self._put_back.add(job.number)

    def made_room(self) -> None:
        """Learn that a job has ended."""
        self._put_back.clear()

    def has_any(self, *, before: int | None) -> bool:
        """Return whether a job numbered lower waits."""
        return any(before is None or job.number < before for job in self._waiting)

    def next(self, *, before: int | None) -> Job | None:
        """Return the first job numbered lower."""
        return next(self._candidates(before), None)

    def refuse(self, job: Job, error: BaseException) -> None:
        """Take a job out and end it."""
        self._waiting.remove(job)
        job.finish(error)

    def take_all(self) -> list[Job]:
        """Take every job out."""
        jobs, self._waiting = self._waiting, []
        return jobs

    def fill_slots(self, adapters: tuple[Adapter, ...], *, before: int | None) -> None:
        """Admit what fits and was computed with ``adapters``; end the cancelled."""
        for job in [job for job in self._waiting if job.cancel.cancelled]:
            self._waiting.remove(job)
            job.finish()
        running = self._slots.running
        jobs = [slot.job for slot in running if slot.job is not None]
        n_free = len(self._slots.all) - len(jobs)
        if n_free == 0 or not self._waiting or any(job.serve.exact for job in jobs):
            return
        n_bulk = sum(job.serve.priority == "bulk" for job in jobs)
        cells = _cells(running)
        for job in list(self._candidates(before))[:_LOOK_AHEAD]:
            if job.number in self._put_back:
                continue
            bulk = job.serve.priority == "bulk"
            # One slot is kept for a person who asks while bulk work runs.
            if n_free == 0 or (bulk and n_bulk >= max(1, len(self._slots.all) - 1)):
                return
            if job.serve.adapters != adapters or (job.serve.exact and cells):
                return  # its turn comes when the others are done
            if job.serve.exact:
                self._waiting.remove(job)
                self._slots.admit_alone(job)
                return
            donor = self._slots.find(job)
            needed = len(job.tokens) - donor.n_common + _RESERVE
            if cells and cells + needed > self._n_ctx:
                return
            if donor.is_growing:
                continue
            self._waiting.remove(job)
            self._slots.admit(job, donor)
            n_free -= 1
            n_bulk += bulk
            cells += needed

    def _candidates(self, before: int | None) -> Iterator[Job]:
        return (job for job in self._waiting if before is None or job.number < before)


def _cells(running: Sequence[Slot]) -> int:
    """Return how many cells jobs take, those that two slots share counted once."""
    sequences = sorted(
        (slot.job.tokens, slot.n_shared) for slot in running if slot.job is not None
    )
    n_shared = sum(
        min(common_prefix(one, other), n_one, n_other)
        for (one, n_one), (other, n_other) in pairwise(sequences)
    )
    return sum(len(tokens) + _RESERVE for tokens, _ in sequences) - n_shared
