"""The engine against tools built from the same source: one table.

Takes some 40 minutes on two cores, which nothing else may use meanwhile.
"""

from __future__ import annotations

import statistics
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from localkit.config import settings
from localkit.runtime.pacing.threads import usable_cores
from tests.perf import ours, programs
from tests.perf.interleaved import Row, compare, in_turns, show
from tests.perf.test_decode import decode_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.perf.interleaved import Block, Sample

N_TOKENS, N_EACH = 128, 64
# Tokens of one of our prompts, for the tool that takes a number.
N_PROMPT = 12

LEAST_OF_BENCH = 0.97
LEAST_OF_SERVER = 1.0
LEAST_OF_BATCHED_BENCH = 0.9
LEAST_OF_PLAIN_LLAMA = 2.0
LEAST_OF_WHAT_SERVER_KEEPS = 3.0
LEAST_BESIDE_A_BUSY_CELL = 0.9

pytestmark = [
    pytest.mark.perf,
    pytest.mark.model,
    pytest.mark.timeout(3 * 3600),
    programs.needs_tools,
]

THREADS = sorted({1, min(2, usable_cores())})


def stream_rows(file: Path, n_threads: int, n_rounds: int) -> list[Row]:
    """Return sixteen streams against server, batched bench and `Llama`."""

    @contextmanager
    def prepare() -> Iterator[Sequence[Callable[[], Sample]]]:
        with (
            ours.opened(file, n_threads=n_threads) as session,
            programs.server(file, n_threads, n_slots=ours.N_STREAMS) as server,
            programs.plain_llama(file, n_threads) as plain,
        ):
            yield (
                lambda: ours.many_streams(session, N_EACH),
                lambda: server(ours.prompts(), N_EACH),
                lambda: programs.batched_bench(
                    file,
                    n_threads,
                    n_streams=ours.N_STREAMS,
                    n_prompt=N_PROMPT,
                    n_tokens=N_EACH,
                ),
                lambda: plain(ours.prompts(), N_EACH),
            )

    mine, server, batched, plain = in_turns(
        prepare, n_rounds=n_rounds, n_alternations=1
    )
    row = partial(compare, n_threads=n_threads)
    return [
        row(
            "16 streams, end to end",
            "llama-server -np 16",
            ours=mine,
            theirs=server,
            least=LEAST_OF_SERVER,
        ),
        row(
            "16 streams, decode",
            "llama-batched-bench",
            ours=[block.decode for block in mine],
            theirs=batched,
            least=LEAST_OF_BATCHED_BENCH,
        ),
        row(
            "16 streams, end to end",
            "Llama, one by one",
            ours=mine,
            theirs=plain,
            least=LEAST_OF_PLAIN_LLAMA,
        ),
    ]


def neighbour_rows(file: Path, n_threads: int, n_rounds: int) -> list[Row]:
    """Return what we and llama-server keep while another process takes a core."""

    @contextmanager
    def prepare() -> Iterator[Sequence[Callable[[], Sample]]]:
        with (
            # Threads are left to the engine: adapting is what is measured.
            ours.opened(file, n_threads=None) as session,
            programs.server(file, n_threads, n_slots=1) as server,
        ):

            def mine() -> Sample:
                return ours.one_stream(session, N_TOKENS)

            def theirs() -> Sample:
                return server(ours.prompts()[:1], N_TOKENS)

            yield mine, theirs, partial(disturbed, mine), partial(disturbed, theirs)

    def disturbed(run: Callable[[], Sample]) -> Sample:
        with ours.busy_neighbour():
            return run()

    mine, theirs, mine_busy, theirs_busy = in_turns(
        prepare, n_rounds=n_rounds, n_alternations=1
    )
    row = partial(compare, n_threads=n_threads, against="itself, idle", least=None)
    mine_row = row("busy neighbour", ours=mine_busy, theirs=mine)
    theirs_row = row("llama-server, the same", ours=theirs_busy, theirs=theirs)
    kept = zip(mine_row.ratios, theirs_row.ratios, strict=True)
    return [
        mine_row,
        theirs_row,
        Row(
            "busy neighbour: kept",
            "llama-server's kept",
            n_threads,
            _median_rate(mine_busy),
            _median_rate(theirs_busy),
            tuple(ours / theirs for ours, theirs in kept),
            LEAST_OF_WHAT_SERVER_KEEPS,
        ),
    ]


def _median_rate(blocks: Sequence[Block]) -> float:
    return statistics.median(block.per_s for block in blocks)


def busy_cell_rows(file: Path, n_rounds: int) -> list[Row]:
    """Return decode beside a loop in pure Python, one engine thread on two cores."""

    @contextmanager
    def prepare() -> Iterator[Sequence[Callable[[], Sample]]]:
        with ours.opened(file, n_threads=1) as session:
            one = partial(ours.one_stream, session, N_TOKENS)
            many = partial(ours.many_streams, session, N_EACH)
            yield (
                partial(ours.beside_an_idle_cell, one),
                partial(ours.beside_a_busy_cell, one),
                partial(ours.beside_an_idle_cell, many),
                partial(ours.beside_a_busy_cell, many),
            )

    one, one_busy, many, many_busy = in_turns(
        prepare, n_rounds=n_rounds, n_alternations=2
    )
    row = partial(
        compare, n_threads=1, against="an idle cell", least=LEAST_BESIDE_A_BUSY_CELL
    )
    return [
        row("busy cell, one stream", ours=one_busy, theirs=one),
        row(
            "busy cell, 16 streams",
            ours=[block.decode for block in many_busy],
            theirs=[block.decode for block in many],
        ),
    ]


def test_the_engine_is_the_fastest_way_to_run_llama_cpp_from_python(
    smollm2_gguf: Path,
    n_rounds: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("LOCALKIT_N_THREADS")
    settings.cache_clear()
    rows: list[Row] = []
    for n_threads in THREADS:
        rows += decode_rows(
            smollm2_gguf, n_threads, n_rounds=n_rounds, least=LEAST_OF_BENCH
        )
        rows += stream_rows(smollm2_gguf, n_threads, n_rounds)
    if max(THREADS) > 1:
        rows += neighbour_rows(smollm2_gguf, max(THREADS), n_rounds)
        rows += busy_cell_rows(smollm2_gguf, n_rounds)
    with capsys.disabled():
        show(rows, f"{smollm2_gguf.name}: tok/s, median of {n_rounds} blocks")
    assert [f"{row.what}, {row.against}" for row in rows if not row.holds] == []
