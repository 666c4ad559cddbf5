"""Memory by kind, each model in a fresh process."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from localkit.errors import Cancelled, GGUFError, RuntimeFailure
from localkit.evals.comparing.row import Memory
from localkit.evals.memory.apart import params_of, spec_as
from localkit.evals.memory.plans import estimate_load
from localkit.evals.running.bench import Steps
from localkit.evals.running.watch import MEMORY
from localkit.runtime.memory.probe import measure_memory as probe

if TYPE_CHECKING:
    from localkit.evals.comparing.family import Candidate, Family
    from localkit.evals.running.bench import Bench
    from localkit.evals.running.spec import MemorySpec
    from localkit.evals.runs.database import Cell


class Measured(NamedTuple):
    """Memory by candidate label, and what could not be loaded."""

    memory: dict[str, Memory]
    failures: dict[str, str]
    """Why, in one line, by label. The child that tried took the blow."""


def measure_memory(bench: Bench, family: Family, spec: MemorySpec) -> Measured:
    """Load every candidate in a child and take down what it used.

    Runs before anything else loads the candidates here: a file that crashes the
    engine crashes a child.

    Raises:
        RuntimeFailure: the reference cannot be loaded.
        Cancelled: stopping was asked for; what is measured is stored.
    """
    found: dict[str, Memory] = {}
    failures: dict[str, str] = {}
    steps = Steps(bench, "memory", len(family.candidates), "models")
    for candidate in family.candidates:
        asked = spec_as(spec, candidate.variant)
        cell = bench.runs.cell(candidate.weights_digest, asked, bench.environment())
        bench.watch.begins(MEMORY, [candidate.label], 1)
        try:
            if "memory" not in cell.items():
                _probe_into(cell, bench, candidate, asked)
            found[candidate.label] = Memory(**cell.record("memory"))
            bench.watch.memory(candidate.label, found[candidate.label])
        except Cancelled:
            raise
        except (RuntimeFailure, GGUFError) as error:
            if candidate is family.reference:
                raise
            failures[candidate.label] = error.one_line()
            bench.watch.failed(candidate.label, failures[candidate.label])
        steps.advance()
    return Measured(found, failures)


def _probe_into(
    cell: Cell, bench: Bench, candidate: Candidate, spec: MemorySpec
) -> None:
    params = params_of(spec, bench.kit.settings)
    taken = probe(candidate.info, params, cancel=bench.cancel)
    memory = Memory(
        weights=taken.memory.weights,
        kv=taken.memory.kv,
        compute=taken.memory.compute,
        rss_mapped=taken.rss_mapped,
        rss_anonymous=taken.rss_anonymous,
        vram=taken.vram,
        peak=taken.rss_peak if taken.vram is None else taken.vram_peak,
        estimate=estimate_load(candidate.info, params, n_ctx=spec.n_ctx).total,
    )
    cell.put_record("memory", asdict(memory))
