"""R14, R15: nothing printed, nothing left behind, however often a model is used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from localkit.gguf import read_info
from localkit.runtime.isolation.isolated import IsolatedRuntime
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams, SamplingParams

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.protocol import Session

pytestmark = pytest.mark.faults

PARAMS = LoadParams(n_ctx=256, n_threads=1)
FEW = SamplingParams(max_tokens=8, top_logprobs=2)
# By hand: five times as many (200 loads, 2000 answers), see design/023-isolation.md.
_N_LOADS, _N_ANSWERS = 40, 300
_MOST_KIB = 50


def _slope_kib(
    cycle: Callable[[], None], n: int, *, warm_up: int, pid: int | None = None
) -> float:
    """Return by how much a cycle makes a process grow, in KiB, by least squares."""
    for _ in range(warm_up):
        cycle()
    sizes = []
    process = psutil.Process(pid)
    for _ in range(n):
        cycle()
        sizes.append(process.memory_info().rss / 1024)
    return float(np.polyfit(np.arange(n), sizes, 1)[0])


def _answer(session: Session) -> None:
    prompt = session.tokenize("hello world")
    list(session.stream(prompt, FEW))
    session.score(prompt, [[5, 6], [7]])


@pytest.mark.timeout(300)
def test_R15_loading_and_unloading_leaves_no_memory_behind(tiny_gguf: Path) -> None:
    info = read_info(tiny_gguf)

    def cycle() -> None:
        session = LlamaRuntime().load(info, PARAMS)
        _answer(session)
        session.close()

    assert _slope_kib(cycle, _N_LOADS, warm_up=10) < _MOST_KIB


@pytest.mark.timeout(300)
@pytest.mark.parametrize("where", ["kernel", "beside a worker", "worker"])
def test_R15_answers_leave_no_memory_behind(tiny_gguf: Path, where: str) -> None:
    runtime = LlamaRuntime() if where == "kernel" else IsolatedRuntime()
    session = runtime.load(read_info(tiny_gguf), PARAMS)
    pid = session.pid if where == "worker" else None
    slope = _slope_kib(lambda: _answer(session), _N_ANSWERS, warm_up=50, pid=pid)
    session.close()
    assert slope < _MOST_KIB


def test_R15_a_load_that_fails_leaves_no_file_or_thread_behind(
    tiny_gguf: Path,
) -> None:
    info = read_info(tiny_gguf)

    def fail() -> None:
        with pytest.raises(Exception, match="q9_9"):
            LlamaRuntime().load(info, LoadParams(kv_type="q9_9"))

    fail()
    before = _open_files(), psutil.Process().num_threads()
    for _ in range(10):
        fail()
    assert (_open_files(), psutil.Process().num_threads()) == before


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("runtime", [LlamaRuntime, IsolatedRuntime])
def test_R14_the_engine_prints_nothing_in_load_answer_and_unload(
    tiny_gguf: Path,
    runtime: type[LlamaRuntime | IsolatedRuntime],
    capfd: pytest.CaptureFixture[str],
) -> None:
    info: ModelInfo = read_info(tiny_gguf)
    session = runtime().load(info, PARAMS)
    _answer(session)
    session.embed([[5, 6]])
    list(session.logits([5, 6]))
    session.close()
    assert capfd.readouterr() == ("", "")
