"""The models of a pool: served to leases, evicted, remembered. One lock for all."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import TYPE_CHECKING

from localkit.errors import SessionClosed
from localkit.runtime.pool.keep_alive import KeepAlive
from localkit.runtime.pool.resident import facts_of
from localkit.runtime.pool.standing import Departure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from localkit.runtime.pool.resident import Holder, Lease, Resident
    from localkit.runtime.protocol import Session

REPLACED = "replaced: a longer context was asked for"
_REMEMBERED = 8


class Residents:
    """What is loaded, on its way in, or on its way out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Hold nothing yet."""
        self.clock = clock
        # Protects everything here and in the pool. Reentrant: an answer that is
        # dropped gives its lease back from wherever the garbage collector runs.
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.all: list[Resident] = []
        """The one used longest ago first."""
        self.departed: deque[Departure] = deque(maxlen=_REMEMBERED)
        self.closed = False
        self._keep_alive = KeepAlive(
            self.lock, next_due=self._next_due, sweep=self.sweep, clock=clock
        )

    def check_open(self, holder: Holder) -> None:
        """Refuse a holder that was closed. Lock held.

        Raises:
            SessionClosed: it was, or the pool.
        """
        if holder.closed or self.closed:
            msg = f"{holder.ask.name} was unloaded"
            raise SessionClosed(msg, hint="load it again with `localkit.load(...)`")

    def serve(self, lease: Lease) -> Session | None:
        """Return the session if one is there, and book the use. Lock held."""
        holder = lease.holder
        self.check_open(holder)
        found = [one for one in self.all if one.serves(holder) and one.admits(lease)]
        if not found:
            return None
        # Beside a longer one, a shorter one only ends its uses.
        resident = max(found, key=lambda one: one.facts.n_ctx if one.facts else 0)
        lease.resident = resident
        resident.leases[lease] = None
        self.all.remove(resident)
        self.all.append(resident)
        holder.facts = resident.facts
        if holder.keep_alive_s is not None:
            resident.keep_alive_s = holder.keep_alive_s
        return resident.session

    def give_back(self, lease: Lease) -> None:
        """End a use, if it had begun. Lock held."""
        resident = lease.resident
        if resident is None or lease not in resident.leases:
            return
        del resident.leases[lease]
        resident.used_at = self.clock()
        resident.was_used = resident.was_used or lease.is_use
        if not resident.leases:
            self._keep_alive.look(resident.ends_at())

    def settle(self, resident: Resident, session: Session) -> None:
        """Turn a load into a loaded model. Lock held."""
        resident.session, resident.facts = session, facts_of(session)
        resident.state, resident.used_at = "loaded", self.clock()
        for other in self.all:
            if other is not resident and other.ask.is_like(resident.ask):
                other.superseded = True
        self.look_again()

    def look_again(self) -> None:
        """Take note that something may be due earlier than it was. Lock held."""
        self._keep_alive.look(self._next_due())

    def evict(self, resident: Resident, reason: str) -> bool:
        """Unload ``resident``; return False if it is answering."""
        with self.lock:
            if not resident.is_idle:
                return False
            resident.state = "unloading"
        self._end(resident, reason)
        return True

    def unload(self, residents: Iterable[Resident]) -> None:
        """Unload these whatever they do, because somebody asked for it."""
        for resident in residents:
            with self.lock:
                if resident.state != "loaded":
                    continue
                resident.state = "unloading"
            self._end(resident, "")

    def sweep(self) -> None:
        """Unload what nobody used for its keep-alive."""
        with self.lock:
            now = self.clock()
            due = [
                one
                for one in self.all
                if one.state == "loaded" and one.due_at(now) <= now
            ]
        for resident in due:
            reason = f"unused for {resident.keep_alive_s:g} s"
            if not self.evict(resident, REPLACED if resident.superseded else reason):
                with self.lock:
                    resident.prolong(now)

    def _end(self, resident: Resident, reason: str) -> None:
        try:
            if resident.session is not None:
                resident.session.close()
        finally:
            with self.lock:
                self.all.remove(resident)
                resident.session, resident.state = None, "unloaded"
                if reason and resident.facts is not None:
                    gone = Departure(resident.ask, resident.facts, reason, self.clock())
                    self.departed.append(gone)
                self.changed.notify_all()
                if math.isinf(self._next_due()):
                    self._keep_alive.wake()  # its thread has nothing to wait for

    def _next_due(self) -> float:
        now = self.clock()
        return min((one.due_at(now) for one in self.all), default=math.inf)
