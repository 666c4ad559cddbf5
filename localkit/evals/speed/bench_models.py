"""`bench`: time any models, loaded in any ways, as llama-bench would."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.errors import UsageError
from localkit.evals.running.bench import Bench
from localkit.evals.runs.database import Runs
from localkit.evals.speed.bench_result import BenchResult
from localkit.evals.speed.loads import Axes, entrants
from localkit.evals.speed.ratio import best
from localkit.evals.speed.rounds import Rounds
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.kit import default_kit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.row import Spread
    from localkit.evals.speed.bench_result import BenchRow
    from localkit.evals.speed.ratio import Best
    from localkit.kit import Kit


def bench(
    models: str | Sequence[str],
    *,
    n_prompt: int = 512,
    n_gen: int = 128,
    depths: Sequence[int] = (0,),
    reps: int = 5,
    n_threads: Sequence[int] = (),
    n_gpu_layers: Sequence[int] = (),
    n_batch: Sequence[int] = (),
    n_ubatch: Sequence[int] = (),
    kv_type: Sequence[str] = (),
    streams: Sequence[int] = (),
    clients: Sequence[int] = (),
    load_time: bool = False,
    energy: bool = False,
    kit: Kit | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> BenchResult:
    """Time models by the llama-bench protocol, in turn, each load warmed up.

    Nothing that was timed before is taken over. The same model twice shows what
    the machine makes of no difference.

    Args:
        models: Refs; each is timed in every combination of the loads below.
        n_prompt: Tokens of one prefill (``pp``); 0 leaves it out.
        n_gen: Tokens of one decode (``tg``); 0 leaves it out.
        depths: Tokens in the context before each phase.
        reps: Repetitions of every test.
        n_threads: Thread counts to try; default: what a load chooses.
        n_gpu_layers: Offloads to try.
        n_batch: Most tokens of a decode call to try.
        n_ubatch: Micro-batches to try.
        kv_type: Types of the KV cache to try.
        streams: Texts to compute side by side (``llama-batched-bench``).
        clients: Numbers of clients who ask at once; their waiting times are told.
        load_time: Whether to time loads, in processes of their own.
        energy: Whether to read the energy counter around decodes.
        kit: Store, runtime and settings; default: the process's.
        on_progress: Called after every repetition.
        cancel: Stops between two repetitions.

    Raises:
        ModelNotFound: no such model.
        UsageError: an argument makes no sense.
        DoesNotFit: a load does not fit in memory.
        LoadFailed: the engine refuses a model.
        Cancelled: ``cancel`` was raised.
    """
    _check(n_prompt, n_gen, reps, depths, [*streams, *clients])
    kit = kit or default_kit()
    names = [models] if isinstance(models, str) else list(models)
    axes = Axes(n_threads, n_gpu_layers, n_batch, n_ubatch, kv_type)
    found = entrants(kit, names, axes)
    with (
        tempfile.TemporaryDirectory(prefix="localkit-bench-") as folder,
        closing(Runs(Path(folder) / "bench.db")) as runs,
    ):
        surroundings = Bench(kit, runs, on_progress, cancel or CancelToken())
        rounds = Rounds(surroundings, found, reps)
        timed = rounds.phases(n_prompt, n_gen, depths if n_prompt or n_gen else ())
        timed += rounds.streams(streams)
        timed += rounds.clients(clients)
        if load_time:
            timed += rounds.load_time()
        rows = tuple(one.row for one in timed)
        return BenchResult(
            rows=rows,
            best=_best(rows),
            interleaved=all(one.interleaved for one in timed),
            energy=rounds.energy(n_gen) if energy else {},
        )


def _best(rows: Sequence[BenchRow]) -> dict[str, Best]:
    """Return the fastest by test; of loads, where fewer seconds are better, none."""
    by_test: dict[str, dict[str, Spread]] = {}
    for row in rows:
        if row.unit == "tok/s":
            by_test.setdefault(row.test, {})[row.model] = row.figures
    return {test: best(points) for test, points in by_test.items() if len(points) > 1}


def _check(
    n_prompt: int,
    n_gen: int,
    reps: int,
    depths: Sequence[int],
    counts: Sequence[int],
) -> None:
    if reps < 1:
        msg = f"reps is {reps}"
        raise UsageError(msg, hint="give at least 1; 5 tell how far they spread")
    if min(n_prompt, n_gen, *depths, 0) < 0:
        msg = "a number of tokens is below zero"
        raise UsageError(msg, hint="0 leaves a phase out")
    if min(counts, default=1) < 1:
        msg = f"{min(counts)} streams or clients compute nothing"
        raise UsageError(msg, hint="give 1 or more")
