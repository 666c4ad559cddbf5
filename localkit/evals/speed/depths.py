"""Speed behind a filled context, and of several texts side by side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from localkit.evals.comparing.row import DepthSpeed
from localkit.evals.speed.conditions import spread
from localkit.evals.speed.phases import phases_lane
from localkit.evals.speed.turns import Lane, same_threads, take_turns
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.family import Candidate
    from localkit.evals.running.bench import Bench
    from localkit.evals.speed.spec import DepthSpec, StreamsSpec
    from localkit.runtime.protocol import Session


def measure_depths(
    bench: Bench, candidates: Sequence[Candidate], specs: Sequence[DepthSpec]
) -> dict[str, tuple[DepthSpeed, ...]]:
    """Time both phases at each depth, the candidates in turn; by label.

    The specs differ in their depth alone.

    Raises:
        Cancelled: stopping was asked for; finished repetitions are stored.
        LoadFailed: the engine refuses a candidate.
    """
    if not specs:
        return {candidate.label: () for candidate in candidates}
    deepest = max(specs, key=lambda spec: spec.depth)
    # Each phase starts anew behind the depth.
    n_ctx = deepest.depth + max(deepest.n_prompt, deepest.n_gen)
    params = same_threads(bench, candidates[0], LoadParams(n_ctx=n_ctx, n_seq_max=1))
    groups = [[phases_lane(c, params, spec) for c in candidates] for spec in specs]
    turns = take_turns(bench, groups, reps=deepest.reps, name="tok/s at depth")
    return {
        candidate.label: tuple(
            DepthSpeed(
                spec.depth,
                spread(sample["prefill_per_s"] for sample in laps[index].samples),
                spread(sample["decode_per_s"] for sample in laps[index].samples),
            )
            for spec, laps in zip(specs, turns, strict=True)
        )
        for index, candidate in enumerate(candidates)
    }


def streams_params(specs: Sequence[StreamsSpec]) -> LoadParams:
    """Return a load with room for the most streams."""
    most = max(spec.n_streams for spec in specs)
    room = max(spec.n_prompt + spec.n_gen for spec in specs)
    return LoadParams(n_ctx=most * room, n_seq_max=most)


def streams_lane(candidate: Candidate, params: LoadParams, spec: StreamsSpec) -> Lane:
    """Return the lane that times so many streams."""
    return Lane(
        candidate,
        params,
        spec,
        partial(_warm_up, spec=spec),
        partial(_time_streams, spec=spec),
    )


def _warm_up(session: Session, spec: StreamsSpec) -> None:
    session.time_streams(spec.n_prompt, 1, spec.n_streams)


def _time_streams(session: Session, spec: StreamsSpec) -> dict[str, float]:
    times = session.time_streams(spec.n_prompt, spec.n_gen, spec.n_streams)
    return {
        "prefill_per_s": spec.n_streams * spec.n_prompt / times.prefill_s,
        "decode_per_s": spec.n_streams * spec.n_gen / times.decode_s,
    }
