"""Prefill and decode speed by the llama-bench protocol, candidates in turn.

All candidates are resident and timed A B C A B C …, so that a machine that
slows down or gets busy slows all of them alike. Where they do not fit side by
side, one is timed after the other, and the report says so. Source of the
protocol: llama.cpp, tools/llama-bench (see the session's ``time_prefill`` and
``time_decode``).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.evals.comparing.row import Speed, Spread
from localkit.evals.running.bench import Steps
from localkit.evals.statistics.estimates import quartiles
from localkit.gguf.estimate import estimate_memory
from localkit.runtime import hardware
from localkit.runtime.pacing.busy import BusyMeter
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.comparing.family import Candidate
    from localkit.evals.running.bench import Bench, Station
    from localkit.evals.running.spec import SpeedSpec
    from localkit.runtime.protocol import Fingerprint, Session

NOISY_SPREAD = 0.10
"""Interquartile range over the median from which a figure is called noisy."""
BUSY_CORES = 0.25
"""Cores kept busy by other processes from which the machine was not quiet."""


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
    params = LoadParams(n_ctx=spec.n_prompt + spec.n_gen + spec.depth, n_seq_max=1)
    with bench.station(candidates[0], params) as first:
        # The first choice of threads holds for all, and for a resumed run.
        params = replace(params, n_threads=first.fingerprint.n_threads)
    side_by_side = _fit_side_by_side(candidates, params)
    steps = Steps(bench, "tok/s", len(candidates) * spec.reps, "reps")
    with ExitStack() as stack:
        stations = [stack.enter_context(bench.station(c, params)) for c in candidates]
        cells = []
        for station in stations:
            # Naming the cell of a model loads it, the first time.
            cells.append(station.cell(spec, numeric=False))
            if not side_by_side:
                station.close()
        turns = (
            [(rep, index) for rep in range(spec.reps) for index in range(len(cells))]
            if side_by_side
            else [
                (rep, index) for index in range(len(cells)) for rep in range(spec.reps)
            ]
        )
        warm: set[int] = set()
        for rep, index in turns:
            station = stations[index]
            if str(rep) not in cells[index].items():
                if index not in warm:
                    if not side_by_side:
                        _close(stations)
                    _warm_up(station.session, spec)
                    warm.add(index)
                sample = time_once(station.session, spec)
                cells[index].put_record(str(rep), sample | {"alone": not side_by_side})
            steps.advance()
        fingerprint = stations[0].fingerprint
    samples = [[cell.record(str(rep)) for rep in range(spec.reps)] for cell in cells]
    return Timed(
        speeds={
            candidate.label: summarize(taken)
            for candidate, taken in zip(candidates, samples, strict=True)
        },
        interleaved=not any(sample["alone"] for taken in samples for sample in taken),
        fingerprint=fingerprint,
        measured=max(cell.created() for cell in cells),
    )


def _close(stations: Sequence[Station]) -> None:
    """Free what was timed before; each station loads again if it has to."""
    for station in stations:
        station.close()


def _warm_up(session: Session, spec: SpeedSpec) -> None:
    """Touch the weights as llama-bench does: the whole prompt, then one token."""
    session.time_prefill(spec.n_prompt)
    session.time_decode(1, depth=spec.depth)


def _fit_side_by_side(candidates: Sequence[Candidate], params: LoadParams) -> bool:
    """Return whether all candidates take at most half of what is available."""
    needed = sum(
        estimate_memory(
            candidate.info,
            n_ctx=params.n_ctx or 0,
            n_ubatch=params.n_ubatch,
            n_seq_max=params.n_seq_max,
            kv_type=params.kv_type,
        ).total
        for candidate in candidates
    )
    gpus = [device.free for device in hardware.devices() if device.is_gpu]
    return needed <= (sum(gpus) or hardware.available_memory()) / 2


def time_once(session: Session, spec: SpeedSpec) -> dict[str, float]:
    """Time one repetition of both phases, and what else the machine did meanwhile."""
    others = BusyMeter()
    prefill_s = session.time_prefill(spec.n_prompt)
    decode_s = session.time_decode(spec.n_gen, depth=spec.depth)
    return {
        "prefill_per_s": spec.n_prompt / prefill_s,
        "decode_per_s": spec.n_gen / decode_s,
        "busy_cores": others.cores(),
    }


def summarize(samples: Sequence[Mapping[str, Any]]) -> Speed:
    """Return medians with quartiles, and a word where they cannot be trusted."""
    prefill = _spread([sample["prefill_per_s"] for sample in samples])
    decode = _spread([sample["decode_per_s"] for sample in samples])
    noise = [
        f"{phase} spread {100 * spread.relative:.0f} %"
        for phase, spread in (("prefill", prefill), ("decode", decode))
        if spread.relative > NOISY_SPREAD
    ]
    busy = max(sample["busy_cores"] for sample in samples)
    if busy > BUSY_CORES:
        noise.append(f"other processes kept up to {busy:.1f} cores busy")
    return Speed(prefill, decode, "; ".join(noise))


def _spread(samples: list[float]) -> Spread:
    middle = quartiles(samples)
    return Spread(middle.median, middle.low, middle.high, tuple(samples))
