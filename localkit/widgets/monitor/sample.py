"""What a monitor sees at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from localkit.runtime.memory.resident import quick_resident

if TYPE_CHECKING:
    from localkit.kit import Kit
    from localkit.runtime.memory.gpus import GpuMeter, GpuUse
    from localkit.runtime.memory.resident import Resident
    from localkit.runtime.pool.finished import FinishedRequest
    from localkit.runtime.pool.standing import Standing

N_REQUESTS: Final = 20
"""Of the latest requests, so many are shown; ``kit.requests()`` has more."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Models, memory and requests now."""

    models: tuple[Standing, ...]
    requests: tuple[FinishedRequest, ...]
    """The latest first."""
    process: Resident
    """Of this process; a model that was loaded with ``isolate`` lies in another."""
    free: int
    """Bytes of RAM that a load may take."""
    gpus: tuple[GpuUse, ...]

    @property
    def decode_per_s(self) -> float:
        """Tokens decoded per second, all models."""
        return sum(one.activity.decode_per_s for one in self.models if one.activity)

    @property
    def prefill_per_s(self) -> float:
        """Tokens of prompts read per second, all models."""
        return sum(one.activity.prefill_per_s for one in self.models if one.activity)

    @property
    def n_slots(self) -> int:
        """Slots of all models."""
        return sum(one.activity.n_slots for one in self.models if one.activity)

    @property
    def n_busy(self) -> int:
        """Slots with an answer or score in progress."""
        return sum(one.activity.n_busy for one in self.models if one.activity)

    @property
    def n_queued(self) -> int:
        """Requests that wait for a slot, and callers that wait for a load."""
        queued = sum(one.activity.n_queued for one in self.models if one.activity)
        return queued + sum(one.n_waiting for one in self.models)


def take_sample(kit: Kit, gpus: GpuMeter) -> Sample:
    """Look at everything once; some 0.2 ms."""
    from localkit.runtime import hardware

    return Sample(
        models=tuple(kit.ps()),
        requests=tuple(kit.requests()[:N_REQUESTS]),
        process=quick_resident(),
        free=hardware.available_memory(),
        gpus=gpus.read(),
    )
