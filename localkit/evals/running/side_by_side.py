"""Whether several candidates may be loaded at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.memory.plans import estimate_load
from localkit.evals.running.bench import loaded_as
from localkit.runtime import hardware

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localkit.evals.comparing.family import Candidate
    from localkit.runtime.protocol import LoadParams

SHARE = 0.5
"""Part of the available memory that a measurement may take: the machine is in use."""


def fits_side_by_side(
    candidates: Iterable[Candidate], params: LoadParams, *, spare: int = 0
) -> bool:
    """Return whether all candidates, loaded alike, fit; otherwise as `loads_fit`."""
    return loads_fit([(candidate, params) for candidate in candidates], spare=spare)


def loads_fit(loads: Iterable[tuple[Candidate, LoadParams]], *, spare: int = 0) -> bool:
    """Return whether all loads, and ``spare`` bytes, fit beside what runs.

    An estimate, before anything is loaded: weights, KV cache and compute buffers
    of each as its variant loads it, on the GPUs where there are any.
    """
    needed = spare
    for candidate, params in loads:
        chosen = loaded_as(params, candidate.variant)
        needed += estimate_load(
            candidate.info, chosen, n_ctx=chosen.n_ctx or candidate.info.n_ctx_train
        ).total
    gpus = [device.free for device in hardware.devices() if device.is_gpu]
    return needed <= SHARE * (sum(gpus) or hardware.available_memory())
