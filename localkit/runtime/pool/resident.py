"""What the pool keeps of each model: who asked, who uses it, until when."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.memory.context_length import Wish
    from localkit.runtime.params import LoadParams
    from localkit.runtime.protocol import Session
    from localkit.runtime.values import Fingerprint, MemoryUse

State = Literal["waiting", "loading", "loaded", "unloading", "unloaded"]

# A model that was loaded for a use still to come waits at least this long for it.
FIRST_USE_S = 60.0
# How soon to look again at a model that is due but still at work.
_LOOK_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be loaded, and how."""

    name: str
    """Model ref, for people."""
    digest: str
    """Of the weights."""
    info: ModelInfo
    params: LoadParams
    wish: Wish
    isolate: bool = False
    """Whether to load into a child process."""
    apart: bool = False
    """Whether nobody else may use what is loaded: for measurements."""

    def is_like(self, other: Ask) -> bool:
        """Return whether both want the same model loaded alike but for its length."""
        return (
            self.digest == other.digest
            and self.isolate == other.isolate
            and not (self.apart or other.apart)
            and replace(self.params, n_ctx=None) == replace(other.params, n_ctx=None)
        )


class Facts(NamedTuple):
    """What a session says of itself; kept when the session is gone."""

    fingerprint: Fingerprint
    memory: MemoryUse
    n_ctx: int
    n_vocab: int
    bos: int | None
    eos: int | None
    adds_bos: bool
    control_tokens: Mapping[str, int]


def facts_of(session: Session) -> Facts:
    """Return the facts of ``session``."""
    return Facts(*(getattr(session, name) for name in Facts._fields))


class Holder:
    """Who asks the pool for a model: identity, wishes, and the last facts known."""

    def __init__(self, ask: Ask, keep_alive_s: float | None) -> None:
        """Make a holder of nothing yet."""
        self.ask = ask
        self.keep_alive_s = keep_alive_s
        """Seconds; None leaves what is set."""
        self.closed = False
        self.facts: Facts | None = None


class Lease:
    """One use of a model in progress: it is not unloaded before the use ends."""

    __slots__ = ("holder", "is_use", "resident", "scope", "thread")

    def __init__(
        self, holder: Holder, *, scope: bool = False, is_use: bool = True
    ) -> None:
        """Make a lease of nothing yet.

        Args:
            holder: Who takes it.
            scope: Whether other calls of the same holder belong to it.
            is_use: False: it only sees to it that the model is loaded.
        """
        self.holder = holder
        self.is_use = is_use
        self.scope = scope
        self.thread = threading.get_ident()
        self.resident: Resident | None = None


class Resident:
    """A model that is loaded, or on its way in or out. The pool's lock protects it."""

    def __init__(self, holder: Holder, *, now: float, keep_alive_s: float) -> None:
        """Describe a load that begins."""
        self.holder = holder
        """Who had it loaded."""
        self.state: State = "loading"
        self.session: Session | None = None
        self.facts: Facts | None = None
        self.progress = 0.0
        """Share of the load that is done."""
        self.error: BaseException | None = None
        """Why it could not be loaded."""
        self.leases: dict[Lease, None] = {}
        self.keep_alive_s = keep_alive_s
        self.used_at = now
        self.was_used = False
        self.not_before = -math.inf
        """When it was found at work although due: not looked at before this."""
        self.superseded = False
        """A longer context of the same model is loaded: this one ends its uses."""
        self.draining = False
        """Somebody waits for its memory: no new uses."""

    @property
    def ask(self) -> Ask:
        """What it was loaded for."""
        return self.holder.ask

    @property
    def size(self) -> int:
        """Bytes the engine allocated."""
        return 0 if self.facts is None else self.facts.memory.total

    def serves(self, holder: Holder) -> bool:
        """Return whether ``holder`` can use it as it is."""
        if self.state != "loaded" or self.facts is None:
            return False
        if self.ask.apart or holder.ask.apart:
            return self.holder is holder
        if not self.ask.is_like(holder.ask):
            return False
        # What was shortened to what fits, or to the model's most, stands for the wish.
        same = self.ask.wish == holder.ask.wish
        return same or self.facts.n_ctx >= holder.ask.wish.serves

    def admits(self, lease: Lease) -> bool:
        """Return whether a new use may begin, or belongs to one in progress."""
        if not self.draining:
            return True
        return any(
            held.holder is lease.holder and (held.scope or held.thread == lease.thread)
            for held in list(self.leases)
        )

    @property
    def is_idle(self) -> bool:
        """Whether it is loaded and nothing is answered with it."""
        if self.state != "loaded" or self.session is None or self.leases:
            return False
        activity = self.session.activity
        return activity.n_busy + activity.n_queued == 0

    def is_held_by(self, thread: int) -> bool:
        """Return whether waiting for its uses to end would wait for ``thread``."""
        return any(lease.thread == thread for lease in list(self.leases))

    def ends_at(self) -> float:
        """Return when it is to be unloaded if nobody uses it again."""
        kept = 0.0 if self.superseded else self.keep_alive_s
        if not self.was_used and not self.superseded:
            kept = max(kept, FIRST_USE_S)
        return max(self.used_at + kept, self.not_before)

    def due_at(self, now: float) -> float:
        """Return when to look whether it has ended; infinite: no need."""
        if self.state != "loaded":
            return math.inf
        if self.leases:  # the end of the use sets the time
            return now + max(self.keep_alive_s, FIRST_USE_S)
        return self.ends_at()

    def prolong(self, now: float) -> None:
        """Count the work that goes on at ``now`` as a use."""
        self.used_at, self.was_used = now, True
        self.not_before = now + _LOOK_AGAIN_S
