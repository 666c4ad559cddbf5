"""Perplexity and KL divergence against llama-perplexity on the same file.

Loading and tokenizing count on both sides; one thread, 8 chunks of 512 tokens of a
Q4_K_M made here: the published Q4_1 reads prompts several times slower. A round
takes four minutes on a core, and nothing else may use the machine meanwhile.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from localkit.evals.text.measure import measure_text
from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams
from localkit.runtime.quantize import quantize_file
from tests.parity import tool
from tests.parity.ladder import N_CTX, TEXT
from tests.perf.interleaved import Sample, compare, in_turns, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

N_CHUNKS = 8
QUANT = "Q4_K_M"
LEAST = 0.9
"""Within 10 per cent of the program."""
KINDS = ("perplexity", "writing a base", "KL divergence")

pytestmark = [
    pytest.mark.perf,
    pytest.mark.model,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        not tool.PROGRAM.exists(), reason="no llama-perplexity here: run make perf"
    ),
]


def ours(file: Path, **options: Path) -> Sample:
    """Load and score as ``localkit perplexity`` does."""
    start = time.perf_counter()
    params = LoadParams(n_ctx=N_CTX, n_threads=1, n_gpu_layers=0, n_seq_max=1)
    with closing(LlamaRuntime().load(read_info(file), params)) as session:
        text = TEXT.read_text(encoding="utf-8")
        measure_text(session, text, max_chunks=N_CHUNKS, **options)
    return Sample(N_CHUNKS * N_CTX, time.perf_counter() - start)


def theirs(file: Path, *options: str) -> Sample:
    """Run the program on the same chunks."""
    start = time.perf_counter()
    command = [
        str(tool.PROGRAM),
        *("--model", str(file)),
        *("--file", str(TEXT)),
        *("--ctx-size", str(N_CTX)),
        *("--chunks", str(N_CHUNKS)),
        *("--threads", "1"),
        *("--gpu-layers", "0"),
        *options,
    ]
    subprocess.run(command, capture_output=True, check=True)
    return Sample(N_CHUNKS * N_CTX, time.perf_counter() - start)


def test_scoring_a_text_takes_at_most_a_tenth_more_time_than_llama_perplexity(
    smollm2_gguf: Path,
    tmp_path: Path,
    n_rounds: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, mine, other = tmp_path / QUANT, tmp_path / "mine", tmp_path / "other"
    quantize_file(smollm2_gguf, file, QUANT, allow_requantize=True)
    base = ("--kl-divergence-base", str(other))

    @contextmanager
    def prepare() -> Iterator[Sequence[Callable[[], Sample]]]:
        yield (
            lambda: ours(file),
            lambda: theirs(file),
            lambda: ours(file, save=mine),
            lambda: theirs(file, *base),
            lambda: ours(file, base=mine),
            lambda: theirs(file, *base, "--kl-divergence"),
        )

    # What compares needs what the side before it wrote.
    ours(file, save=mine)
    theirs(file, *base)
    blocks = in_turns(prepare, n_rounds=n_rounds, n_alternations=1)
    rows = [
        compare(
            kind,
            "llama-perplexity",
            1,
            ours=blocks[2 * index],
            theirs=blocks[2 * index + 1],
            least=LEAST,
        )
        for index, kind in enumerate(KINDS)
    ]
    with capsys.disabled():
        show(rows, f"{QUANT}: tok/s of {N_CHUNKS} chunks, {n_rounds} blocks")
    assert [row.what for row in rows if not row.holds] == []
