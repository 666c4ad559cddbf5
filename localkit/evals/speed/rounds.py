"""The tests of a bench: each is run over all its entrants in turn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from localkit.evals.comparing.family import Candidate
from localkit.evals.report.figures import decimals
from localkit.evals.speed.bench_result import BenchRow
from localkit.evals.speed.clients import clients_lane, clients_params, latency
from localkit.evals.speed.conditions import noise, spread
from localkit.evals.speed.depths import streams_lane, streams_params
from localkit.evals.speed.energy import measure_energy
from localkit.evals.speed.load_time import measure_load_time
from localkit.evals.speed.phases import phases_lane
from localkit.evals.speed.ratio import ratio, uncertainty
from localkit.evals.speed.spec import (
    ClientsSpec,
    DepthSpec,
    LoadTimeSpec,
    StreamsSpec,
)
from localkit.evals.speed.turns import same_threads, take_turns
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.row import Spread
    from localkit.evals.running.bench import Bench
    from localkit.evals.speed.bench_result import Unit
    from localkit.evals.speed.clients import Latency
    from localkit.evals.speed.loads import Entrant
    from localkit.evals.speed.turns import Lane, Laps

_SIDE_N_PROMPT, _SIDE_N_GEN = 128, 32
"""Tokens of each text and answer where several are computed side by side."""


class Timed(NamedTuple):
    """A row, and whether it was timed in turn with the others."""

    row: BenchRow
    interleaved: bool


@dataclass(frozen=True, slots=True)
class Rounds:
    """Every test over the same entrants."""

    bench: Bench
    entrants: Sequence[Entrant]
    reps: int

    def phases(self, n_prompt: int, n_gen: int, depths: Sequence[int]) -> list[Timed]:
        """Time both phases behind each depth."""
        if not depths:
            return []
        room = LoadParams(n_ctx=max(depths) + max(n_prompt, n_gen), n_seq_max=1)
        groups = [
            [
                phases_lane(
                    entrant.candidate,
                    params,
                    DepthSpec(depth, n_prompt, n_gen, self.reps, peers=str(index)),
                )
                for index, (entrant, params) in enumerate(self._loads(room))
            ]
            for depth in depths
        ]
        tests = []
        for depth in depths:
            behind = f" @ d{depth}" if depth else ""
            tests.append(
                [
                    (f"{name}{n_tokens}{behind}", field)
                    for name, n_tokens, field in (
                        ("pp", n_prompt, "prefill_per_s"),
                        ("tg", n_gen, "decode_per_s"),
                    )
                    if n_tokens
                ]
            )
        return self._rows(groups, tests, name="tok/s")

    def streams(self, counts: Sequence[int]) -> list[Timed]:
        """Time both phases of several texts side by side."""
        specs = [
            StreamsSpec(count, _SIDE_N_PROMPT, _SIDE_N_GEN, self.reps)
            for count in counts
        ]
        if not specs:
            return []
        groups = [
            [
                streams_lane(entrant.candidate, params, replace(spec, peers=str(index)))
                for index, (entrant, params) in enumerate(
                    self._loads(streams_params(specs))
                )
            ]
            for spec in specs
        ]
        tests = [
            [
                (f"pp{_SIDE_N_PROMPT} x {count} streams", "prefill_per_s"),
                (f"tg{_SIDE_N_GEN} x {count} streams", "decode_per_s"),
            ]
            for count in counts
        ]
        return self._rows(groups, tests, name="streams")

    def clients(self, counts: Sequence[int]) -> list[Timed]:
        """Let several clients ask at once."""
        specs = [
            ClientsSpec(count, _SIDE_N_PROMPT, _SIDE_N_GEN, reps=self.reps)
            for count in counts
        ]
        if not specs:
            return []
        groups = [
            [
                clients_lane(entrant.candidate, params, replace(spec, peers=str(index)))
                for index, (entrant, params) in enumerate(
                    self._loads(clients_params(specs))
                )
            ]
            for spec in specs
        ]
        tests = [[(_people(count), "decode_per_s")] for count in counts]
        return self._rows(groups, tests, name="clients", n_clients=counts)

    def load_time(self) -> list[Timed]:
        """Time loads, one a model."""
        candidates = self._singles()
        spec = LoadTimeSpec(self.bench.kit.settings.context_length, reps=self.reps)
        taken = measure_load_time(self.bench, candidates, spec)
        first = taken[candidates[0].label]
        return [
            Timed(
                _row(
                    candidate,
                    "load",
                    taken[candidate.label],
                    {},
                    first=first,
                    why=noise([], {"": taken[candidate.label]}).strip(),
                    unit="s",
                ),
                interleaved=True,
            )
            for candidate in candidates
        ]

    def energy(self, n_gen: int) -> dict[str, str]:
        """Read the energy counter around decodes, in words by model."""
        used = measure_energy(self.bench, self._singles(), n_gen=n_gen or 128)
        return {
            label: found.method  # which says why there is no figure
            if math.isnan(found.per_token_j)
            else f"{found.per_token_j:.{decimals(found.per_token_j, 3)}f} J a token "
            f"({found.method})"
            for label, found in used.items()
        }

    def _singles(self) -> list[Candidate]:
        """Return each model once, however it is loaded."""
        models = {
            entrant.candidate.weights_digest: entrant.candidate.model
            for entrant in self.entrants
        }
        return [Candidate(str(model.ref), model) for model in models.values()]

    def _loads(self, room: LoadParams) -> list[tuple[Entrant, LoadParams]]:
        """Return each entrant with its load, in a context of ``room``."""
        found: list[tuple[Entrant, LoadParams]] = []
        for entrant in self.entrants:
            params = replace(entrant.params, n_ctx=room.n_ctx, n_seq_max=room.n_seq_max)
            if params.n_threads is None:  # the first one's choice holds for all
                known = found[0][1].n_threads if found else None
                params = replace(params, n_threads=known)
                params = same_threads(self.bench, entrant.candidate, params)
            found.append((entrant, params))
        return found

    def _rows(
        self,
        groups: Sequence[Sequence[Lane]],
        tests: Sequence[Sequence[tuple[str, str]]],
        *,
        name: str,
        n_clients: Sequence[int] = (),
    ) -> list[Timed]:
        """Run the groups; each test is a name and the field of a sample it reads."""
        rows = []
        turns = take_turns(self.bench, groups, reps=self.reps, name=name)
        for index, (named, laps) in enumerate(zip(tests, turns, strict=True)):
            for test, key in named:
                figures = [_figures(lap, key) for lap in laps]
                for entrant, lap, figure in zip(
                    self.entrants, laps, figures, strict=True
                ):
                    seen = latency(n_clients[index], lap.samples) if n_clients else None
                    row = _row(
                        entrant.candidate,
                        test,
                        figure,
                        lap.fingerprint.as_dict(),
                        first=figures[0],
                        why=noise(lap.samples, {"": figure}).strip(),
                        seen=seen,
                    )
                    rows.append(Timed(row, lap.interleaved))
        return rows


def _row(
    candidate: Candidate,
    test: str,
    figure: Spread,
    settings: dict[str, str | int],
    *,
    first: Spread,
    why: str = "",
    unit: Unit = "tok/s",
    seen: Latency | None = None,
) -> BenchRow:
    info = candidate.info
    found = None if figure is first else ratio(figure, first)
    reasons = [why, uncertainty(found) if found else ""]
    return BenchRow(
        model=candidate.label,
        quant=info.quant,
        file_size=info.file_size,
        n_params=info.n_params,
        settings=settings,
        test=test,
        figures=figure,
        unit=unit,
        ratio=found,
        noise="; ".join(filter(None, reasons)),
        latency=seen,
    )


def _figures(lap: Laps, key: str) -> Spread:
    return spread(sample[key] for sample in lap.samples)


def _people(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"
