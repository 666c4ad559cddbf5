"""Single-stream decode speed against the real llama-bench, in turns."""

from __future__ import annotations

import json
import statistics
import subprocess
from typing import TYPE_CHECKING

import pytest

from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams, SamplingParams, Session
from localkit.runtime.threads import usable_cores
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = ROOT / "build" / "llama-tools" / "llama-bench"
N_TOKENS = 128
ROUNDS = 5
LEAST_RATIO = 0.95
PROMPT = "Once upon a time"

pytestmark = [
    pytest.mark.perf,
    pytest.mark.model,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not PROGRAM.exists(), reason="no llama-bench here: run make perf"
    ),
]


def bench(file: Path, n_threads: int) -> float:
    """Return the tok/s that llama-bench measures for tg128."""
    command = [
        str(PROGRAM),
        *("--model", str(file)),
        *("--n-prompt", "0"),
        *("--n-gen", str(N_TOKENS)),
        *("--repetitions", "1"),
        *("--threads", str(n_threads)),
        *("--n-gpu-layers", "0"),
        *("--output", "json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (result,) = json.loads(done.stdout)
    return float(result["avg_ts"])


def protocol(session: Session) -> float:
    """Return the tok/s that our own tg128 measures."""
    return N_TOKENS / session.time_decode(N_TOKENS)


def generation(session: Session) -> float:
    """Return the decode tok/s of a greedy answer, sampling and text included."""
    prompt = session.tokenize(PROMPT)
    params = SamplingParams(temperature=0, max_tokens=N_TOKENS)
    stream = session.stream(prompt, params)
    for _ in stream:
        pass
    answer = stream.generation
    assert answer.usage.n_generated == N_TOKENS, answer.text
    return answer.timings.decode_per_s(answer.usage)


@pytest.mark.parametrize("n_threads", sorted({1, usable_cores()}))
def test_decode_is_as_fast_as_llama_bench(
    n_threads: int, smollm2_gguf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = LoadParams(n_ctx=512, n_threads=n_threads, n_gpu_layers=0)
    session = LlamaRuntime().load(read_info(smollm2_gguf), params)
    session.time_decode(1)  # llama-bench warms up with one token too

    speeds: dict[str, list[float]] = {
        "llama-bench tg128": [],
        "session.time_decode": [],
        "session.stream, greedy": [],
    }
    for _ in range(ROUNDS):
        for name, measured in (
            ("llama-bench tg128", bench(smollm2_gguf, n_threads)),
            ("session.time_decode", protocol(session)),
            ("session.stream, greedy", generation(session)),
        ):
            speeds[name].append(measured)
    session.close()

    # Ratios within a round: the machine's speed drifts between rounds.
    baseline = speeds["llama-bench tg128"]
    ratios = {
        name: statistics.median(
            mine / theirs for mine, theirs in zip(values, baseline, strict=True)
        )
        for name, values in speeds.items()
    }
    with capsys.disabled():
        print(f"\n{smollm2_gguf.name}, threads: {n_threads}, median of {ROUNDS}")
        for name, values in speeds.items():
            median = statistics.median(values)
            each = " ".join(f"{value:6.1f}" for value in values)
            print(f"{name:24}{median:7.1f} tok/s {ratios[name]:6.3f}   ({each} )")
    assert {name: ratio for name, ratio in ratios.items() if ratio < LEAST_RATIO} == {}
