"""Several models resident within a memory budget.

A model is loaded when it is first used and unloaded when nobody used it for its
keep-alive, or when another needs its memory: the one used longest ago first,
never one that is answering. One load at a time, in the order of asking; uses of
what is loaded do not wait for it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from localkit.errors import Cancelled, DoesNotFit, LocalkitError, Overloaded
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.runtime.isolation import forks
from localkit.runtime.memory.fit import Plan, plan_load
from localkit.runtime.pool.finished import Requests
from localkit.runtime.pool.resident import Resident
from localkit.runtime.pool.residents import REPLACED, Residents
from localkit.runtime.pool.room import Planner, Rules, next_step
from localkit.runtime.pool.standing import Standing, standings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from localkit.runtime.params import LoadParams
    from localkit.runtime.pool.resident import Ask, Holder, Lease
    from localkit.runtime.protocol import Session
    from localkit.runtime.values import Activity

# A cancel is seen at the end of a step.
_STEP_S = 0.05


class Load(Protocol):
    """Loads what was asked for, with the context length that was planned."""

    def __call__(
        self,
        ask: Ask,
        params: LoadParams,
        *,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> Session:
        """Return the session."""


class Pool:
    """Loads, shares and unloads models; `PooledSession` is its face."""

    def __init__(
        self,
        load: Load,
        rules: Rules,
        *,
        plan: Planner = plan_load,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an empty pool; nothing is started."""
        self.rules = rules
        self.requests = Requests()
        """The answers that ended lately."""
        self._load, self._plan = load, plan
        self._residents = Residents(clock)
        self._lock = self._residents.lock
        self._queue: dict[Lease, None] = {}  # the first of them loads
        self._loads: dict[Resident, CancelToken] = {}

    def take(
        self,
        lease: Lease,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Session:
        """Return the session that ``lease`` wants, loading it if need be.

        It stays until `release`, which must follow whatever happens here.

        Raises:
            SessionClosed: the holder, or the pool, was closed.
            Overloaded: too many wait already.
            DoesNotFit: memory would not hold it, with all idle models unloaded.
            Cancelled: ``cancel`` was raised while waiting or loading.
            LoadFailed: the engine refuses it.
            RuntimeForked: this process was forked from the one with the models.
        """
        forks.check()
        with self._lock:
            session = self._residents.serve(lease)
            if session is not None:
                return session
            if len(self._queue) > self.rules.max_queue:
                msg = f"{len(self._queue)} callers wait for models to be loaded already"
                hint = "try again later, or raise LOCALKIT_MAX_QUEUE"
                raise Overloaded(msg, hint=hint)
            self._queue[lease] = None
        token = cancel or CancelToken()
        while session is None:
            with self._lock:
                session = self._wait_for_turn(lease, token)
            if session is None:
                session = self._bring_in(lease, on_progress, token)
        self._leave_queue(lease)
        return session

    def release(self, lease: Lease) -> None:
        """End a use, or the wait for one. May be called twice."""
        with self._lock:
            self._residents.give_back(lease)
            if self._queue:
                self._residents.changed.notify_all()
        self._leave_queue(lease)

    def keep(self, holder: Holder, seconds: float) -> None:
        """Keep what ``holder`` uses for so long after its last use."""
        with self._lock:
            holder.keep_alive_s = seconds
            for resident in self._residents.all:
                if resident.serves(holder):
                    resident.keep_alive_s = seconds
            self._residents.look_again()

    def has(self, holder: Holder) -> bool:
        """Return whether ``holder`` can be served without a load."""
        with self._lock:
            return any(one.serves(holder) for one in self._residents.all)

    def one_each(self, holders: Collection[Holder]) -> list[Holder]:
        """Return one of ``holders`` for each shared model that is loaded.

        In the order of use, the one used longest ago first.
        """
        with self._lock:
            chosen = []
            for one in self._residents.all:
                mine = [who for who in holders if not who.closed and one.serves(who)]
                if mine and not one.ask.apart:
                    chosen.append(one.holder if one.holder in mine else mine[0])
            return chosen

    def activity(self, holder: Holder) -> Activity | None:
        """Return what the model ``holder`` would use does now; None: not loaded."""
        with self._lock:
            for one in reversed(self._residents.all):
                if one.session is not None and one.serves(holder):
                    return one.session.activity
        return None

    def dismiss(self, holder: Holder) -> None:
        """End ``holder`` for good, and free what nobody else is using."""
        with self._lock:
            holder.closed = True
            self._residents.changed.notify_all()
            ending = [
                one
                for one in self._residents.all
                if one.serves(holder)
                and all(lease.holder is holder for lease in list(one.leases))
            ]
        self._residents.unload(ending)

    def unload(self, digest: str | None = None) -> None:
        """Free every model of these weights, or all; answers in progress stop.

        What is held apart stays: a measurement frees it when it is done.
        """
        with self._lock:
            ending = [
                one
                for one in self._residents.all
                if not one.ask.apart and digest in (None, one.ask.digest)
            ]
        self._residents.unload(ending)

    def sweep(self) -> None:
        """Unload what nobody used for its keep-alive; a thread does so in time."""
        self._residents.sweep()

    def standing(self) -> list[Standing]:
        """Return what is loaded, loading, waited for or lately unloaded."""
        with self._lock:
            return standings(
                list(reversed(self._residents.all)),
                [lease.holder.ask for lease in self._queue],
                list(reversed(self._residents.departed)),
                now=self._residents.clock(),
            )

    def close(self) -> None:
        """Free everything and refuse what comes; waiting callers are told."""
        if forks.is_child():
            return  # the threads that own the engine are not here, nor are the locks
        with self._lock:
            self._residents.closed = True
            for token in self._loads.values():
                token.cancel()
            ending = list(self._residents.all)
            self._residents.changed.notify_all()
        self._residents.unload(ending)

    def _leave_queue(self, lease: Lease) -> None:
        with self._lock:
            if lease in self._queue:
                del self._queue[lease]
                for one in self._residents.all:
                    one.draining = False  # the next may want another's memory
                self._residents.changed.notify_all()

    def _wait_for_turn(self, lease: Lease, cancel: CancelToken) -> Session | None:
        """Wait until the model is there, or it is our turn to load: None. Lock held."""
        ask = lease.holder.ask
        while True:
            session = self._residents.serve(lease)
            if session is not None or next(iter(self._queue)) is lease:
                return session
            loading = [
                one
                for one in self._loads
                if one.ask.is_like(ask) and one.ask.wish == ask.wish
            ]
            self._pause(lease, cancel)
            for one in loading:
                if isinstance(one.error, LocalkitError):
                    raise one.error  # ours would end the same way

    def _pause(self, lease: Lease, cancel: CancelToken) -> None:
        """Wait a step for something to change. Lock held."""
        if cancel.cancelled:
            msg = f"waiting for {lease.holder.ask.name} was stopped"
            raise Cancelled(msg)
        self._residents.changed.wait(_STEP_S)

    def _bring_in(
        self, lease: Lease, on_progress: OnProgress, cancel: CancelToken
    ) -> Session | None:
        """Make room and load; None when something changed and has to be seen anew."""
        ask, thread = lease.holder.ask, threading.get_ident()
        with self._lock:
            residents = tuple(self._residents.all)
        step = next_step(ask, residents, self.rules, self._plan, thread=thread)
        if isinstance(step, Plan):
            try:
                return self._load_now(lease, step, on_progress, cancel)
            except DoesNotFit:
                # The machine has less than a moment ago; is there more to free?
                idle = [one for one in residents if one.is_idle]
                if not idle:
                    raise
                step = idle[0]
        if step is None:
            with self._lock:
                self._pause(lease, cancel)
        elif step.is_idle:
            replaced = step.ask.is_like(ask)
            reason = REPLACED if replaced else f"evicted to make room for {ask.name}"
            self._residents.evict(step, reason)
        else:
            with self._lock:
                step.draining = True
                self._pause(lease, cancel)
        return None

    def _load_now(
        self, lease: Lease, plan: Plan, on_progress: OnProgress, cancel: CancelToken
    ) -> Session | None:
        holder, residents = lease.holder, self._residents
        keep_alive_s = holder.keep_alive_s
        if keep_alive_s is None:
            keep_alive_s = self.rules.keep_alive_s
        resident = Resident(holder, now=residents.clock(), keep_alive_s=keep_alive_s)

        def report(progress: Progress) -> None:
            resident.progress = progress.done / (progress.total or 1)
            on_progress(progress)

        params = replace(holder.ask.params, n_ctx=plan.n_ctx)
        session: Session | None = None
        try:
            with self._lock:
                residents.all.append(resident)
                self._loads[resident] = cancel
            session = self._load(holder.ask, params, on_progress=report, cancel=cancel)
            with self._lock:
                residents.check_open(holder)  # closed while it was loading
                residents.settle(resident, session)
                return residents.serve(lease)
        except BaseException as error:
            with self._lock:
                resident.error = None if isinstance(error, Cancelled) else error
                if resident in residents.all:
                    residents.all.remove(resident)
            if session is not None:
                session.close()
            raise
        finally:
            with self._lock:
                self._loads.pop(resident, None)
                residents.changed.notify_all()
