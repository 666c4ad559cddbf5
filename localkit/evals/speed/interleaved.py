"""Prefill and decode speed by the llama-bench protocol, candidates in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.evals.comparing.row import Speed
from localkit.evals.running.watch import SPEED
from localkit.evals.speed.conditions import noise, spread
from localkit.evals.speed.phases import phases_lane
from localkit.evals.speed.turns import same_threads, take_turns
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.comparing.family import Candidate
    from localkit.evals.running.bench import Bench
    from localkit.evals.running.spec import SpeedSpec
    from localkit.runtime.protocol import Fingerprint


class Timed(NamedTuple):
    """Speeds by candidate label, and the conditions."""

    speeds: dict[str, Speed]
    interleaved: bool
    fingerprint: Fingerprint
    """Of the first candidate."""
    measured: str
    """When the newest cell was opened, ISO 8601 in UTC."""


def measure_speed(
    bench: Bench, candidates: Sequence[Candidate], spec: SpeedSpec
) -> Timed:
    """Time every candidate ``spec.reps`` times; what is stored is not timed again.

    Raises:
        Cancelled: stopping was asked for; finished repetitions are stored.
        LoadFailed: the engine refuses a candidate.
    """
    bench.watch.begins(SPEED, [one.label for one in candidates], spec.reps)
    params = LoadParams(n_ctx=spec.n_prompt + spec.n_gen + spec.depth, n_seq_max=1)
    params = same_threads(bench, candidates[0], params)
    lanes = [phases_lane(candidate, params, spec) for candidate in candidates]
    (laps,) = take_turns(bench, [lanes], reps=spec.reps)
    return Timed(
        speeds={
            candidate.label: summarize(taken.samples)
            for candidate, taken in zip(candidates, laps, strict=True)
        },
        interleaved=all(taken.interleaved for taken in laps),
        fingerprint=laps[0].fingerprint,
        measured=max(taken.measured for taken in laps),
    )


def summarize(samples: Sequence[Mapping[str, Any]]) -> Speed:
    """Return medians with quartiles, and a word where they cannot be trusted."""
    prefill = spread(sample["prefill_per_s"] for sample in samples)
    decode = spread(sample["decode_per_s"] for sample in samples)
    return Speed(
        prefill, decode, noise(samples, {"prefill": prefill, "decode": decode})
    )
