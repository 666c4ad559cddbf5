"""GPU memory as the driver counts it."""

from __future__ import annotations

import os
from typing import Any


def used() -> int | None:
    """Return bytes of GPU memory in use, by this process where the driver tells.

    NVML lists memory by process on most systems. In a container our process id
    is not the one the driver knows, and under WDDM it tells none: then the
    figure is what the whole device has in use, which is right for a difference
    on a quiet GPU. None without an NVIDIA driver or the ``nvidia-ml-py`` package.
    """
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(index)
            for index in range(pynvml.nvmlDeviceGetCount())
        ]
        ours = [size for handle in handles for size in _ours(pynvml, handle)]
        if ours:
            return sum(ours)
        return sum(
            int(pynvml.nvmlDeviceGetMemoryInfo(handle).used) for handle in handles
        )
    finally:
        pynvml.nvmlShutdown()


def _ours(pynvml: Any, handle: Any) -> list[int]:
    processes = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    return [
        process.usedGpuMemory
        for process in processes
        if process.pid == os.getpid() and process.usedGpuMemory is not None
    ]
