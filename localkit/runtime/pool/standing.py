"""What ``ps`` shows of a pool."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from localkit.runtime.pool.resident import Ask, Facts, Resident, State
    from localkit.runtime.values import Activity, Fingerprint, MemoryUse

_RECENT_S = 300.0


@dataclass(frozen=True, slots=True)
class Departure:
    """A model that the pool unloaded by itself."""

    ask: Ask
    facts: Facts
    reason: str
    at: float
    """On the pool's clock."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of ``ps``."""

    name: str
    """Model ref."""
    digest: str
    """Of the weights."""
    quant: str
    state: State
    n_ctx: int = 0
    """0 until it is loaded."""
    memory: MemoryUse | None = None
    """What loading allocated; for an unloaded one, had allocated."""
    fingerprint: Fingerprint | None = None
    activity: Activity | None = None
    """None unless it is loaded."""
    in_use: bool = False
    n_waiting: int = 0
    """Callers that wait for it to be loaded."""
    progress: float = 0.0
    """Share of the load that is done."""
    ends_in_s: float = math.inf
    """Seconds until it is unloaded when nobody uses it; infinite: never."""
    apart: bool = False
    """Whether it is loaded for a measurement alone."""
    reason: str = ""
    """Why it was unloaded."""
    ago_s: float = 0.0
    """Seconds since it was unloaded."""

    @property
    def lies(self) -> str:
        """Where it lies, as Ollama says it: ``100% GPU``, ``48%/52% CPU/GPU``."""
        if self.memory is None or self.fingerprint is None:
            return ""
        if self.fingerprint.n_gpu_layers == 0:
            return "100% CPU"
        total = sum(self.memory.by_device.values())
        on_host = sum(
            size
            for device, size in self.memory.by_device.items()
            if device.startswith("CPU") or device.endswith("_Host")
        )
        host = round(100 * on_host / total) if total else 0
        return f"{host}%/{100 - host}% CPU/GPU" if host else "100% GPU"


def standings(
    residents: Sequence[Resident],
    waiting: Sequence[Ask],
    departed: Iterable[Departure],
    *,
    now: float,
) -> list[Standing]:
    """Return one line a model: residents first, then waited for, then departed."""
    unserved = list(waiting)
    lines = []
    for one in residents:
        mine = [ask for ask in unserved if ask.digest == one.ask.digest]
        # The first in the queue is the one whose model is being loaded.
        n_waiting = max(0, len(mine) - (one.state == "loading"))
        unserved = [ask for ask in unserved if ask.digest != one.ask.digest]
        lines.append(_resident(one, n_waiting=n_waiting, now=now))
    for ask in {ask.digest: ask for ask in unserved}.values():
        n_waiting = sum(other.digest == ask.digest for other in unserved)
        lines.append(
            Standing(
                ask.name, ask.digest, ask.info.label, "waiting", n_waiting=n_waiting
            )
        )
    here = {line.digest for line in lines}
    for gone in departed:
        if now - gone.at > _RECENT_S or gone.ask.digest in here:
            continue
        here.add(gone.ask.digest)
        lines.append(
            Standing(
                gone.ask.name,
                gone.ask.digest,
                gone.ask.info.label,
                "unloaded",
                n_ctx=gone.facts.n_ctx,
                memory=gone.facts.memory,
                fingerprint=gone.facts.fingerprint,
                reason=gone.reason,
                ago_s=now - gone.at,
            )
        )
    return lines


def _resident(one: Resident, *, n_waiting: int, now: float) -> Standing:
    facts, session = one.facts, one.session
    activity = session.activity if session and one.state == "loaded" else None
    in_use = bool(one.leases)
    if activity is not None:
        in_use = in_use or activity.n_busy + activity.n_queued > 0
    return Standing(
        one.ask.name,
        one.ask.digest,
        one.ask.info.label,
        one.state,
        n_ctx=facts.n_ctx if facts else 0,
        memory=facts.memory if facts else None,
        fingerprint=facts.fingerprint if facts else None,
        activity=activity,
        in_use=in_use,
        n_waiting=n_waiting,
        progress=one.progress,
        ends_in_s=max(0.0, one.ends_at() - now),
        apart=one.ask.apart,
    )
