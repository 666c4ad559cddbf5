"""Our speeds against llama-bench's and llama-batched-bench's, in turn with them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from localkit.evals.speed.conditions import spread
from localkit.evals.speed.ratio import ratio, uncertainty
from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.runtime.session import LlamaSession

TOOLS = ROOT / "build" / "llama-tools"
N_PROMPT, N_GEN, DEPTH, N_STREAMS, REPS = 256, 32, 512, 4, 5
NEAR = 0.10

pytestmark = [
    pytest.mark.parity,
    pytest.mark.model,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        not (TOOLS / "llama-bench").exists(),
        reason="no llama-bench here: run make parity",
    ),
]


def test_speeds_are_llama_benchs_at_every_depth_and_with_streams(
    smollm2_gguf: Path,
) -> None:
    n_ctx = max(DEPTH + N_PROMPT, N_STREAMS * (N_PROMPT + N_GEN))
    params = LoadParams(n_ctx=n_ctx, n_threads=1, n_gpu_layers=0, n_seq_max=N_STREAMS)
    session = LlamaRuntime().load(read_info(smollm2_gguf), params)
    ours, theirs = [], []
    _ours(session)  # warmed up, as llama-bench does before it counts
    for _ in range(REPS):
        ours.append(_ours(session))
        theirs.append(_theirs(smollm2_gguf))
    session.close()
    for test in ours[0]:
        found = ratio(
            spread(rates[test] for rates in ours),
            spread(rates[test] for rates in theirs),
        )
        print(f"{test}: {found.value:.3f} ({found.low:.3f} to {found.high:.3f})")  # noqa: T201
        assert abs(found.value - 1) < NEAR or uncertainty(found), test


def _ours(session: LlamaSession) -> dict[str, float]:
    rates = {}
    for depth in (0, DEPTH):
        rates[f"pp d{depth}"] = N_PROMPT / session.time_prefill(N_PROMPT, depth=depth)
        rates[f"tg d{depth}"] = N_GEN / session.time_decode(N_GEN, depth=depth)
    times = session.time_streams(N_PROMPT, N_GEN, N_STREAMS)
    rates["pp streams"] = N_STREAMS * N_PROMPT / times.prefill_s
    rates["tg streams"] = N_STREAMS * N_GEN / times.decode_s
    return rates


def _theirs(model: Path) -> dict[str, float]:
    rows = json.loads(
        _run(
            "llama-bench",
            *("-m", str(model), "-p", str(N_PROMPT), "-n", str(N_GEN), "-r", "1"),
            *("-d", f"0,{DEPTH}", "-t", "1", "-ngl", "0", "-o", "json"),
        )
    )
    rates = {
        f"{'pp' if row['n_prompt'] else 'tg'} d{row['n_depth']}": float(row["avg_ts"])
        for row in rows
    }
    lines = _run(
        "llama-batched-bench",
        *("-m", str(model), "-c", str(N_STREAMS * (N_PROMPT + N_GEN)), "-t", "1"),
        *("-npp", str(N_PROMPT), "-ntg", str(N_GEN), "-npl", str(N_STREAMS)),
        *("-ngl", "0", "--kv-unified", "--output-format", "jsonl"),
    ).splitlines()
    row: dict[str, Any] = json.loads(next(x for x in lines if x.startswith("{")))
    return rates | {"pp streams": row["speed_pp"], "tg streams": row["speed_tg"]}


def _run(program: str, *options: str) -> str:
    done = subprocess.run(
        [str(TOOLS / program), *options],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout
