"""Continuous batching: everything in progress advances in one decode.

Each step takes the next token of every running answer and fills the micro-batch
with prompts that are still to be computed. So a long prompt never holds up a
running answer for longer than one micro-batch. Jobs join and leave between steps.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from localkit.errors import RuntimeFailure
from localkit.runtime.engine.admission import Admission
from localkit.runtime.engine.jobs import Outputs
from localkit.runtime.engine.plan import Plan, Share, make_plan
from localkit.runtime.engine.slots import Slot, common_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localkit.events import CancelToken
    from localkit.runtime.engine.context import Context
    from localkit.runtime.engine.jobs import Job
    from localkit.runtime.engine.slots import Slots
    from localkit.runtime.pacing.pace import Pace
    from localkit.runtime.params import Adapter

_NO_CELLS, _ABORTED = 1, 2  # llama_decode's codes


class Scheduler:
    """The loop of one model. Owner thread only, but for `enqueue` and figures."""

    def __init__(
        self,
        context: Context,
        slots: Slots,
        *,
        adapt: Callable[[tuple[Adapter, ...]], None] = lambda _: None,
        pace: Pace,
    ) -> None:
        """Start without work.

        Args:
            context: Decodes.
            slots: Where jobs lie.
            adapt: Puts LoRA adapters on the context.
            pace: Told of every decode.
        """
        self._context = context
        self._slots = slots
        self._adapt = adapt
        self._pace = pace
        self._inbox: deque[Job] = deque()
        self._admission = Admission(slots, n_ctx=context.n_ctx)
        self._adapters: tuple[Adapter, ...] = ()
        self._plan: Plan | None = None
        self.n_computed = 0

    @property
    def n_busy(self) -> int:
        """Slots with a job."""
        return self._slots.n_running

    @property
    def n_queued(self) -> int:
        """Jobs without a slot."""
        return len(self._inbox) + len(self._admission)

    @property
    def n_cells(self) -> int:
        """Cells in use, at least. Any thread."""
        return self._slots.n_cells

    def enqueue(self, job: Job) -> None:
        """Take a job. Any thread."""
        self._inbox.append(job)

    def has_work(self, *, before: int | None) -> bool:
        """Return whether a step would do something for jobs numbered lower."""
        if self._slots.n_running:
            return True
        self._collect()
        return self._admission.has_any(before=before)

    def must_abort(self, token: CancelToken) -> bool:
        """Return whether the decode in progress is worth stopping for ``token``.

        A step of single tokens ends by itself before an abort would matter.
        """
        plan = self._plan
        return plan is not None and plan.is_long_for(token)

    def step(self, *, before: int | None) -> None:
        """Admit jobs numbered lower, decode once, hand the logits out."""
        self._collect()
        for slot in self._slots.running:
            if slot.job is not None and slot.job.cancel.cancelled:
                self._release(slot)
        self._choose_adapters(before)
        self._admission.fill_slots(self._adapters, before=before)
        self._show_image()
        plan = make_plan(
            self._slots.running,
            n_tokens=self._context.n_ubatch,
            n_outputs=self._context.n_outputs_max,
        )
        if not plan.shares:
            return
        self._plan = plan
        start = time.perf_counter()
        code = self._context.try_decode(
            plan.tokens,
            start=plan.positions,
            outputs=plan.outputs,
            sequences=plan.sequences,
        )
        self._plan = None
        if code == 0:
            self.n_computed += len(plan.tokens)
            seconds = time.perf_counter() - start
            self._pace.saw(len(plan.tokens), seconds, is_decode=plan.is_decode)
            self._deliver(plan)
        elif code == _NO_CELLS and self._make_room():
            pass  # the next step tries again
        else:
            self._undo(plan, code)

    def _show_image(self) -> None:
        """Compute the image that a running job has come to; one a step."""
        for slot in self._slots.running:
            job = slot.job
            media = job and job.media.get(len(slot.tokens))
            if job and media:
                break
        else:
            return
        share = Share(slot, job, [media.token] * media.n_positions, [], 0)
        plan = self._plan = Plan(shares=[share], is_decode=False)
        try:
            code = media.compute(sequence=slot.sequence, start=len(slot.tokens))
        except RuntimeFailure as error:
            self._release(slot, error)
            return
        finally:
            self._plan = None
        if code == 0:
            self.n_computed += media.n_cells
            slot.tokens += share.tokens
            return
        # Of several batches, some may have been computed.
        self._context.drop_sequence(slot.sequence, start=len(slot.tokens))
        if code != _NO_CELLS or not self._make_room():
            self._undo(plan, code)

    @contextmanager
    def emptied(self) -> Iterator[None]:
        """Lend the context without a cached prefix; nothing may be running."""
        self._slots.clear_all()
        try:
            yield
        finally:
            self._slots.clear_all()

    def save(self, tokens: list[int]) -> bytes | None:
        """Return the cells of ``tokens``, if a slot holds just those."""
        for slot in self._slots.idle:
            if slot.tokens == tokens and not slot.adapters:
                return self._context.save_sequence(slot.sequence)
        return None

    def restore(self, tokens: list[int], cells: bytes) -> bool:
        """Put saved cells into the slot used longest ago; False if refused."""
        slot = self._slots.idle[0]
        self._slots.clear(slot)
        while not self._context.load_sequence(slot.sequence, cells):
            self._slots.clear(slot)
            if not self._slots.give_back_cells():
                return False
        slot.tokens, slot.adapters = tokens, ()
        return True

    def interrupt(self) -> None:
        """End everything in progress as it stands."""
        for slot in self._slots.running:
            self._release(slot)

    def end(self, error: BaseException) -> None:
        """End everything in progress and waiting with ``error``."""
        self._collect()
        for job in self._admission.take_all():
            job.finish(error)
        for slot in self._slots.running:
            self._release(slot, error)

    def _collect(self) -> None:
        while self._inbox:
            self._admission.add(self._inbox.popleft())

    def _choose_adapters(self, before: int | None) -> None:
        """Put the next job's adapters on, once no job needs the present ones."""
        if self._slots.n_running:
            return
        job = self._admission.next(before=before)
        if job is not None and job.serve.adapters != self._adapters:
            try:
                self._adapt(job.serve.adapters)
            except RuntimeFailure as error:
                self._admission.refuse(job, error)
            else:
                self._adapters = job.serve.adapters

    def _deliver(self, plan: Plan) -> None:
        rows = self._context.logits(len(plan.outputs)) if plan.outputs else None
        drawn = self._draw(plan)
        for index, share in enumerate(plan.shares):
            slot, job = share.slot, share.job
            start = len(slot.tokens)
            slot.tokens += share.tokens
            if rows is not None and share.outputs:
                first = share.first_row
                own = rows[first : first + len(share.outputs)]
                try:
                    token = drawn.get(index)
                    job.take(Outputs(self._context, own, share.outputs, drawn=token))
                except Exception as error:  # this job's trouble, not the others'
                    self._release(slot, error)
                    continue
            if job.ended:
                self._release(slot)
                continue
            end = start + len(share.tokens)
            if job.grows and job.tokens[start:end] == share.tokens:
                continue
            # Guesses that were wrong, what a context shift removed, and tokens
            # whose logits are still wanted.
            kept = common_prefix(slot.tokens, job.tokens)
            self._slots.shorten(slot, min(kept, job.first_output))

    def _draw(self, plan: Plan) -> dict[int, int]:
        """Draw for several answers at once, where that is sooner; by share."""
        if not self._context.draws_side_by_side:
            return {}
        wishes = {
            index: (chain, share.outputs[0])
            for index, share in enumerate(plan.shares)
            if len(share.outputs) == 1 and (chain := share.job.chain) is not None
        }
        if len(wishes) < 2:
            return {}
        tokens = self._context.sample_all(list(wishes.values()))
        return dict(zip(wishes, tokens, strict=True))

    def _make_room(self) -> bool:
        """Free cells: an idle prefix, else the youngest job starts over later."""
        if self._slots.give_back_cells():
            return True
        running = self._slots.running
        if len(running) < 2:
            return False
        slot = running[-1]
        if slot.job is not None:
            self._admission.put_back(slot.job)
        self._slots.release(slot)
        self._slots.clear(slot)
        return True

    def _undo(self, plan: Plan, code: int) -> None:
        """Take back what a failed decode left in the cells."""
        error = None
        if code != _ABORTED:
            error = self._context.failure(code, len(plan.tokens))
        for share in plan.shares:
            slot = share.slot
            n_kept = len(slot.tokens)
            if not self._context.drop_sequence(slot.sequence, start=n_kept):
                self._slots.clear(slot)
            if error is not None:
                self._release(slot, error)

    def _release(self, slot: Slot, error: BaseException | None = None) -> None:
        job = slot.job
        self._slots.release(slot)
        self._admission.made_room()
        if job is not None:
            job.finish(error)
