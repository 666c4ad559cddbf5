"""Memory by kind, each model in a fresh process."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from localkit.errors import Cancelled, GGUFError, RuntimeFailure
from localkit.evals.comparing.row import Memory
from localkit.evals.running.bench import Steps
from localkit.runtime.memory.probe import measure_memory as probe
from localkit.runtime.protocol import LoadParams

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
        cell = bench.runs.cell(candidate.weights_digest, spec, bench.environment())
        try:
            if "memory" not in cell.items():
                _probe_into(cell, bench, candidate, spec)
            found[candidate.label] = Memory(**cell.record("memory"))
        except Cancelled:
            raise
        except (RuntimeFailure, GGUFError) as error:
            if candidate is family.reference:
                raise
            failures[candidate.label] = error.one_line()
        steps.advance()
    return Measured(found, failures)


def _probe_into(
    cell: Cell, bench: Bench, candidate: Candidate, spec: MemorySpec
) -> None:
    params = LoadParams(
        n_ctx=spec.n_ctx,
        kv_type=spec.kv_type,
        n_threads=bench.kit.settings.n_threads,
        n_gpu_layers=bench.kit.settings.n_gpu_layers,
    )
    taken = probe(candidate.info, params, cancel=bench.cancel)
    memory = Memory(
        weights=taken.memory.weights,
        kv=taken.memory.kv,
        compute=taken.memory.compute,
        rss_mapped=taken.rss_mapped,
        rss_anonymous=taken.rss_anonymous,
        vram=taken.vram,
    )
    cell.put_record("memory", asdict(memory))
