"""Measure the memory of a model, in a fresh process.

In a notebook the numbers would include everything else the kernel holds, and
mapped weights count once per process however often they are loaded.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf import read_info
from localkit.runtime.isolation.child import run_in_child
from localkit.runtime.memory import vram
from localkit.runtime.memory.resident import forget_peak, peak_resident, resident
from localkit.runtime.protocol import LoadParams, MemoryUse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.gguf.info import ModelInfo


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
    """GPU memory of the process; None without a GPU in use that can tell."""
    rss_peak: int | None = None
    """Most bytes resident at once, beyond what the process had before loading; None
    where the system keeps no such count."""
    vram_peak: int | None = None
    """Most GPU memory seen in use while it computed."""
    n_filled: int = 0
    """Tokens in the context when the last micro-batch was computed behind them."""

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
    """Load the model in a child, compute with an empty and a full context, and report.

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
    gpu = vram.open_meter()
    vram_before = 0 if gpu is None else gpu.used()
    before = resident()
    forget_peak()
    session = LlamaRuntime().load(info, params, on_progress=on_progress)
    if gpu is not None and not session.fingerprint.n_gpu_layers:
        gpu.close()
        gpu = None  # what happens there is not ours
    if gpu is not None:
        gpu.watch()
    # A micro-batch fills the compute buffer, as far as an empty context needs it.
    n_tokens = min(session.fingerprint.n_ubatch, session.n_ctx)
    session.time_prefill(n_tokens)
    session.time_decode(4)
    peaks = [peak_resident()]
    # And once more over all cells: without flash attention that takes more.
    n_filled = session.fill_context(n_tokens, before=forget_peak)
    peaks.append(peak_resident())
    after = resident()
    probe = MemoryProbe(
        memory=session.memory,
        rss_mapped=max(0, after.mapped - before.mapped),
        rss_anonymous=max(0, after.anonymous - before.anonymous),
        vram=None if gpu is None else gpu.used() - vram_before,
        rss_peak=_most(peaks, less=before.total),
        vram_peak=None if gpu is None else gpu.peak() - vram_before,
        n_filled=n_filled,
    )
    session.close()
    if gpu is not None:
        gpu.close()
    return asdict(probe)


def _most(peaks: Sequence[int | None], *, less: int) -> int | None:
    known = [peak for peak in peaks if peak is not None]
    return max(0, max(known) - less) if known else None
