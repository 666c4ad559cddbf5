"""The command that times models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model
from localkit.cli.screen import Table
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.cli.screen import Screen
    from localkit.evals.report.table import Grid
    from localkit.evals.speed.bench_result import BenchResult

_ALL = "all"


class Numbers(click.ParamType[tuple[int, ...] | str, object]):
    """Numbers with commas between them, or ``all`` where there is such a thing."""

    name = "numbers"

    def __init__(self, *, sweeps: bool = False) -> None:
        """Take ``all`` as well, if ``sweeps``."""
        self._sweeps = sweeps

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...] | str:
        """Return the numbers."""
        if not isinstance(value, str):
            return tuple(value)
        if value == _ALL and self._sweeps:
            return _ALL
        try:
            return tuple(int(part) for part in value.replace(",", " ").split())
        except ValueError:
            self.fail(f"'{value}' is not a list of numbers such as 1,2,4", param, ctx)


_NUMBERS, _SWEEP = Numbers(), Numbers(sweeps=True)


@command("bench")
@click.argument(
    "models",
    nargs=-1,
    required=True,
    metavar="MODEL…",
    shell_complete=complete_model,
)
@click.option(
    "-p",
    "--n-prompt",
    type=click.IntRange(min=0),
    default=512,
    show_default=True,
    help="Tokens of one prefill; 0 leaves it out.",
)
@click.option(
    "-n",
    "--n-gen",
    type=click.IntRange(min=0),
    default=128,
    show_default=True,
    help="Tokens of one decode; 0 leaves it out.",
)
@click.option(
    "-d",
    "--depth",
    "depths",
    type=_NUMBERS,
    default="0",
    show_default=True,
    metavar="N,N,…",
    help="Tokens in the context before each phase.",
)
@click.option(
    "-r",
    "--reps",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Repetitions of every test.",
)
@click.option(
    "-t",
    "--threads",
    type=_SWEEP,
    default="",
    metavar="N,N,…|all",
    help="Thread counts to try. [default: what a load chooses]",
)
@click.option(
    "-ngl",
    "--n-gpu-layers",
    type=_SWEEP,
    default="",
    metavar="N,N,…|all",
    help="Layers on a GPU to try; all: none to all in quarters. [default: what fits]",
)
@click.option(
    "-b",
    "--batch",
    type=_NUMBERS,
    default="",
    metavar="N,N,…",
    help="Most tokens of a decode call to try. [default: 2048]",
)
@click.option(
    "-ub",
    "--ubatch",
    type=_NUMBERS,
    default="",
    metavar="N,N,…",
    help="Micro-batches to try. [default: 512]",
)
@click.option(
    "--kv-type",
    "kv_types",
    default="",
    metavar="T,T,…",
    help="Types of the KV cache to try. [default: f16]",
)
@click.option(
    "--streams",
    type=_NUMBERS,
    default="",
    metavar="N,N,…",
    help="Also time so many texts side by side.",
)
@click.option(
    "--clients",
    type=_NUMBERS,
    default="",
    metavar="N,N,…",
    help="Also let so many clients ask at once, and show how long they wait.",
)
@click.option("--load", is_flag=True, help="Also time loads, in fresh processes.")
@click.option("--energy", is_flag=True, help="Also read the energy counter.")
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every repetition to this file.",
)
def bench(
    screen: Screen,
    models: tuple[str, ...],
    n_prompt: int,
    n_gen: int,
    depths: tuple[int, ...],
    reps: int,
    threads: tuple[int, ...] | str,
    n_gpu_layers: tuple[int, ...] | str,
    batch: tuple[int, ...],
    ubatch: tuple[int, ...],
    kv_types: str,
    streams: tuple[int, ...],
    clients: tuple[int, ...],
    load: bool,
    energy: bool,
    file: Path | None,
) -> BenchResult:
    """Time the MODELs: prefill and decode, as llama-bench does.

    All are loaded side by side and timed in turn, so that a busy or warm machine
    slows all alike; `ratio` compares with the first one repetition by repetition.
    Several values of an option are tried in turn as well: `--threads all` says
    which count is fastest here, and whether that is more than noise.

    Name a model twice to see what this machine makes of no difference.
    """
    from localkit.evals.speed.bench_models import bench as measure
    from localkit.evals.speed.loads import all_offloads, all_threads

    kit = default_kit()
    if isinstance(threads, str):
        threads = all_threads()
    if isinstance(n_gpu_layers, str):
        deepest = max(kit.resolve(model).info.n_layers for model in models)
        n_gpu_layers = all_offloads(deepest)
    with screen.progress() as on_progress:
        result = measure(
            models,
            n_prompt=n_prompt,
            n_gen=n_gen,
            depths=depths,
            reps=reps,
            n_threads=threads,
            n_gpu_layers=n_gpu_layers,
            n_batch=batch,
            n_ubatch=ubatch,
            kv_type=kv_types.replace(",", " ").split(),
            streams=streams,
            clients=clients,
            load_time=load,
            energy=energy,
            kit=kit,
            on_progress=on_progress,
        )
    screen.table(_table(result.grid()))
    if result.waits().cells:
        screen.table(_table(result.waits()))
    for remark in result.remarks():
        screen.say(remark)
    if file is not None:
        screen.say(f"every repetition: {result.save(file)}")
    return result


def _table(grid: Grid) -> Table:
    return Table(grid.heads, grid.cells, grid.align, empty="nothing was timed")
