"""All that is timed of the candidates of a comparison, in their rows' values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from localkit.evals.speed.clients import measure_clients
from localkit.evals.speed.conditions import noise
from localkit.evals.speed.depths import measure_depths
from localkit.evals.speed.energy import measure_energy
from localkit.evals.speed.interleaved import Timed, measure_speed
from localkit.evals.speed.load_time import measure_load_time
from localkit.evals.speed.spec import ClientsSpec, DepthSpec, LoadTimeSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.family import Candidate
    from localkit.evals.comparing.row import DepthSpeed
    from localkit.evals.running.bench import Bench
    from localkit.evals.running.spec import SpeedSpec


def measure_every_speed(
    bench: Bench,
    candidates: Sequence[Candidate],
    spec: SpeedSpec,
    *,
    depths: Sequence[int] = (),
    clients: Sequence[int] = (),
    load_ctx: int | None = None,
    energy: bool = False,
) -> Timed:
    """Time both phases as ``spec`` says, and what else is asked for.

    Args:
        bench: What measuring needs.
        candidates: Timed in turn.
        spec: Of plain prefill and decode; the rest takes its tokens and repetitions.
        depths: Tokens in the context at which both phases are timed as well.
        clients: Numbers of clients who ask at once.
        load_ctx: Context length to time loads with; None: loads are not timed.
        energy: Whether to read the energy counter around decodes.

    Raises:
        Cancelled: stopping was asked for; finished repetitions are stored.
        LoadFailed: the engine refuses a candidate.
    """
    timed = measure_speed(bench, candidates, spec)
    bench.watch.speeds(timed.speeds)
    behind = measure_depths(
        bench,
        candidates,
        [
            DepthSpec(depth, spec.n_prompt, spec.n_gen, spec.reps, spec.peers)
            for depth in depths
        ],
    )
    asked = measure_clients(
        bench,
        candidates,
        [
            ClientsSpec(n_clients, reps=min(spec.reps, 3), peers=spec.peers)
            for n_clients in clients
        ],
    )
    speeds = {
        label: replace(
            speed,
            at_depth=behind[label],
            under_load=tuple(seen.speed() for seen in asked[label]),
            noise="; ".join(
                filter(
                    None,
                    [
                        speed.noise,
                        *map(_noise_behind, behind[label]),
                        *(seen.noise for seen in asked[label]),
                    ],
                )
            ),
        )
        for label, speed in timed.speeds.items()
    }
    if load_ctx is not None:
        load = LoadTimeSpec(load_ctx, reps=spec.reps, peers=spec.peers)
        for label, taken in measure_load_time(bench, candidates, load).items():
            speeds[label] = replace(speeds[label], load_s=taken)
    if energy:
        used = measure_energy(bench, candidates, n_gen=spec.n_gen, peers=spec.peers)
        for label, joules in used.items():
            speeds[label] = replace(speeds[label], energy=joules)
    return timed._replace(speeds=speeds)


def _noise_behind(speed: DepthSpeed) -> str:
    named = {
        f"prefill at d{speed.depth}": speed.prefill,
        f"decode at d{speed.depth}": speed.decode,
    }
    return noise([], named)
