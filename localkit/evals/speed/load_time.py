"""Seconds until a model answers, its file in the page cache, candidates in turn.

A first load that is not counted brings the file into the page cache, as far as
memory goes: emptying it would slow everything else on the machine, and need root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.memory.apart import params_of, spec_as
from localkit.evals.running.bench import Steps
from localkit.evals.speed.conditions import spread
from localkit.runtime.load_time import time_load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.family import Candidate
    from localkit.evals.comparing.row import Spread
    from localkit.evals.running.bench import Bench
    from localkit.evals.speed.spec import LoadTimeSpec


def measure_load_time(
    bench: Bench, candidates: Sequence[Candidate], spec: LoadTimeSpec
) -> dict[str, Spread]:
    """Load every candidate in a child, ``spec.reps`` times; seconds by label.

    Raises:
        Cancelled: stopping was asked for; finished repetitions are stored.
        LoadFailed: the engine refuses a candidate.
        WorkerDied: a file crashed the child.
    """
    loads, cells = [], []
    for candidate in candidates:
        asked = spec_as(spec, candidate.variant)
        loads.append(params_of(asked, bench.kit.settings))
        cells.append(
            bench.runs.cell(candidate.weights_digest, asked, bench.environment())
        )
    steps = Steps(bench, "load time", len(candidates) * spec.reps, "loads")
    warm: set[int] = set()
    for rep in range(spec.reps):
        for index, candidate in enumerate(candidates):
            if str(rep) not in cells[index].items():
                if index not in warm:
                    time_load(candidate.info, loads[index], cancel=bench.cancel)
                    warm.add(index)
                taken = time_load(candidate.info, loads[index], cancel=bench.cancel)
                cells[index].put_record(str(rep), taken._asdict())
            steps.advance()
    return {
        candidate.label: spread(
            cell.record(str(rep))["ready_s"] for rep in range(spec.reps)
        )
        for candidate, cell in zip(candidates, cells, strict=True)
    }
