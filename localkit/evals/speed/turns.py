"""Timing in turn: A B C A B C …, so that what slows the machine slows all alike.

A *lane* is one thing to time: a candidate loaded one way, under one spec. All
lanes are resident. Where they do not fit side by side, one is timed after the
other, and the samples say so. Lanes of one candidate loaded one way share it.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.evals.running.bench import Steps
from localkit.evals.running.side_by_side import loads_fit
from localkit.evals.speed.conditions import Conditions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from localkit.evals.comparing.family import Candidate
    from localkit.evals.running.bench import Bench, Station
    from localkit.evals.running.spec import Spec
    from localkit.evals.runs.database import Cell
    from localkit.runtime.protocol import Fingerprint, LoadParams, Session


@dataclass(frozen=True, slots=True)
class Lane:
    """One thing to time."""

    candidate: Candidate
    params: LoadParams
    spec: Spec
    """Names the cell that its samples go to."""
    warm_up: Callable[[Session], object]
    """Run once before its first sample: touches what is timed."""
    time: Callable[[Session], Mapping[str, Any]]
    """Takes one sample."""


class Laps(NamedTuple):
    """What the turns of one lane gave."""

    samples: tuple[dict[str, Any], ...]
    """One a repetition, with the conditions it was taken under."""
    fingerprint: Fingerprint
    measured: str
    """When its cell was opened, ISO 8601 in UTC."""

    @property
    def interleaved(self) -> bool:
        """Whether every sample was taken in turn with the other lanes'."""
        return not any(sample["alone"] for sample in self.samples)


def take_turns(
    bench: Bench,
    groups: Sequence[Sequence[Lane]],
    *,
    reps: int,
    name: str = "tok/s",
) -> list[list[Laps]]:
    """Time every lane ``reps`` times; what is stored is not timed again.

    Groups run one after the other, the lanes of each in turn.

    Raises:
        Cancelled: stopping was asked for; finished repetitions are stored.
        LoadFailed: the engine refuses a candidate.
    """
    lanes = [lane for group in groups for lane in group]
    # What several lanes share is loaded once.
    loads = {_key(lane): (lane.candidate, lane.params) for lane in lanes}
    alone = not loads_fit(loads.values())
    steps = Steps(bench, name, len(lanes) * reps, "reps")
    with ExitStack() as stack:
        stations: dict[tuple[str, LoadParams], Station] = {}
        for lane in lanes:
            if _key(lane) not in stations:
                opened = bench.station(lane.candidate, lane.params)
                stations[_key(lane)] = stack.enter_context(opened)
        cells: list[Cell] = []
        for lane in lanes:
            # Naming the cell of a model loads it, the first time.
            cells.append(stations[_key(lane)].cell(lane.spec, numeric=False))
            if alone:
                stations[_key(lane)].close()
        warm: set[int] = set()
        for index, rep in _order(groups, reps, alone=alone):
            lane, cell = lanes[index], cells[index]
            if str(rep) not in cell.items():
                station = stations[_key(lane)]
                if index not in warm:
                    if alone:
                        _close_others(stations.values(), station)
                    lane.warm_up(station.session)
                    warm.add(index)
                conditions = Conditions()
                sample = dict(lane.time(station.session))
                cell.put_record(
                    str(rep), sample | conditions.taken() | {"alone": alone}
                )
            steps.advance()
        laps = iter(
            Laps(
                tuple(cell.record(str(rep)) for rep in range(reps)),
                stations[_key(lane)].fingerprint,
                cell.created(),
            )
            for lane, cell in zip(lanes, cells, strict=True)
        )
        return [[next(laps) for _ in group] for group in groups]


def same_threads(bench: Bench, candidate: Candidate, params: LoadParams) -> LoadParams:
    """Return ``params`` with the threads that ``candidate`` gets, for all to use.

    The first choice holds for all, and for a resumed run.
    """
    if params.n_threads is not None:
        return params
    with bench.station(candidate, params) as first:
        return replace(params, n_threads=first.fingerprint.n_threads)


def _key(lane: Lane) -> tuple[str, LoadParams]:
    return lane.candidate.label, lane.params


def _order(
    groups: Sequence[Sequence[Lane]], reps: int, *, alone: bool
) -> Iterable[tuple[int, int]]:
    """Yield (lane, repetition) in the order in which they are timed."""
    first = 0
    for group in groups:
        indices = range(first, first + len(group))
        first += len(group)
        if alone:
            yield from ((index, rep) for index in indices for rep in range(reps))
        else:
            yield from ((index, rep) for rep in range(reps) for index in indices)


def _close_others(stations: Iterable[Station], kept: Station) -> None:
    """Free what was timed before; each station loads again if it has to."""
    for station in stations:
        if station is not kept:
            station.close()
