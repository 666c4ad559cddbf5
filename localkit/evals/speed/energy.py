"""Joule per decoded token, by the counter that the platform has."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING

from localkit.evals.comparing.row import Energy
from localkit.evals.speed.conditions import spread
from localkit.evals.speed.spec import EnergySpec
from localkit.evals.speed.turns import Lane, same_threads, take_turns
from localkit.runtime import hardware
from localkit.runtime.energy import EnergyCounter, Unavailable, energy_counter
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.family import Candidate
    from localkit.evals.running.bench import Bench
    from localkit.runtime.protocol import Session

_LEAST_S = 2.0
"""Decoding goes on at least so long: NVML's counter moves every 100 ms or so."""


def measure_energy(
    bench: Bench,
    candidates: Sequence[Candidate],
    *,
    n_gen: int = 128,
    reps: int = 3,
    peers: str = "",
) -> dict[str, Energy]:
    """Read the energy counter around a decode of each candidate; by label.

    Where nothing counts, the reason stands in the method and nothing is loaded.

    Raises:
        Cancelled: stopping was asked for; finished repetitions are stored.
        LoadFailed: the engine refuses a candidate.
    """
    offloads = bench.kit.settings.n_gpu_layers != 0
    on_gpu = offloads and any(device.is_gpu for device in hardware.devices())
    counter = energy_counter(on_gpu=on_gpu)
    if isinstance(counter, Unavailable):
        missing = Energy(math.nan, f"unavailable: {counter.reason}")
        return {candidate.label: missing for candidate in candidates}
    spec = EnergySpec(counter.method, n_gen=n_gen, reps=reps, peers=peers)
    params = LoadParams(n_ctx=n_gen, n_seq_max=1)
    params = same_threads(bench, candidates[0], params)
    time_it = partial(_time_decode, counter=counter, n_gen=n_gen)
    lanes = [Lane(c, params, spec, _warm_up, time_it) for c in candidates]
    try:
        (laps,) = take_turns(bench, [lanes], reps=reps, name="energy")
    finally:
        counter.close()
    return {
        candidate.label: Energy(
            spread(sample["per_token_j"] for sample in taken.samples).median,
            f"{counter.method}, idle power included",
        )
        for candidate, taken in zip(candidates, laps, strict=True)
    }


def _warm_up(session: Session) -> None:
    session.time_decode(1)


def _time_decode(
    session: Session, counter: EnergyCounter, n_gen: int
) -> dict[str, float]:
    n_tokens, start, before = 0, time.monotonic(), counter.read()
    while not n_tokens or time.monotonic() - start < _LEAST_S:
        session.time_decode(n_gen)
        n_tokens += n_gen
    return {"per_token_j": (counter.read() - before) / n_tokens}
