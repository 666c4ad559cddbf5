"""Measure the memory of a model, in a fresh process.

In a notebook the numbers would include everything else the kernel holds, and
mapped weights count once per process however often they are loaded.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf import read_info
from localkit.runtime.isolation.child import run_in_child
from localkit.runtime.memory import vram
from localkit.runtime.protocol import LoadParams, MemoryUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.gguf.info import ModelInfo

_ROLLUP = Path("/proc/self/smaps_rollup")


@dataclass(frozen=True, slots=True)
class MemoryProbe:
    """Bytes that one model took in a process of its own."""

    memory: MemoryUse
    """What llama.cpp says it allocated."""
    rss_mapped: int
    """Resident pages of mapped files: the weights as they were touched."""
    rss_anonymous: int
    """Resident private memory beyond what the process had before loading."""
    vram: int | None
    """GPU memory of the process; None without a GPU that can tell."""

    @property
    def rss(self) -> int:
        """Both kinds together."""
        return self.rss_mapped + self.rss_anonymous


def measure_memory(
    info: ModelInfo,
    params: LoadParams,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> MemoryProbe:
    """Load the model in a child, compute a micro-batch, and report its memory.

    Raises:
        LoadFailed: llama.cpp refuses the model.
        DoesNotFit: the estimate exceeds the memory available.
        WorkerDied: the child crashed.
    """
    request = {"path": str(info.path), "params": asdict(params)}
    answer = run_in_child(
        "measure-memory", request, on_progress=on_progress, cancel=cancel
    )
    return MemoryProbe(**{**answer, "memory": MemoryUse(**answer["memory"])})


def work(request: Mapping[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """Load, compute and measure; runs in the child."""
    from localkit.runtime.llama import LlamaRuntime

    info = read_info(Path(request["path"]))
    params = LoadParams(**request["params"])
    mapped_before, anonymous_before = _resident()
    vram_before = vram.used()
    session = LlamaRuntime().load(info, params, on_progress=on_progress)
    # A micro-batch fills the compute buffer; more would only take longer.
    session.time_prefill(min(session.fingerprint.n_ubatch, session.n_ctx))
    session.time_decode(4)
    mapped, anonymous = _resident()
    vram_after = vram.used()
    probe = MemoryProbe(
        memory=session.memory,
        rss_mapped=max(0, mapped - mapped_before),
        rss_anonymous=max(0, anonymous - anonymous_before),
        vram=None
        if vram_before is None or vram_after is None
        else vram_after - vram_before,
    )
    session.close()
    return asdict(probe)


def _resident() -> tuple[int, int]:
    """Return resident bytes of this process: mapped from files, anonymous."""
    if not _ROLLUP.exists():
        return 0, int(psutil.Process(os.getpid()).memory_info().rss)
    sizes = {}
    for line in _ROLLUP.read_text(encoding="ascii").splitlines()[1:]:
        name, kibibytes = line.split(":")
        sizes[name] = int(kibibytes.split()[0]) * 1024
    return sizes["Rss"] - sizes["Anonymous"], sizes["Anonymous"]
