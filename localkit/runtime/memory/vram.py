"""GPU memory as the driver counts it."""

from __future__ import annotations

import os
import threading
from typing import Any

_STEP_S = 0.02
"""Between two looks while something computes: buffers come and go with a decode."""


def used() -> int | None:
    """Return bytes of GPU memory in use, by this process where the driver tells.

    NVML lists memory by process on most systems. In a container our process id
    is not the one the driver knows, and under WDDM it tells none: then the
    figure is what the whole device has in use, which is right for a difference
    on a quiet GPU. None without an NVIDIA driver or the ``nvidia-ml-py`` package.
    """
    meter = open_meter()
    if meter is None:
        return None
    try:
        return meter.used()
    finally:
        meter.close()


def open_meter() -> VramMeter | None:
    """Return a meter of all GPUs; None without a driver or ``nvidia-ml-py``."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return VramMeter(pynvml)


class VramMeter:
    """Reads the driver's figures, and the most of them while it watches."""

    def __init__(self, nvml: Any) -> None:
        """Take over an initialised ``pynvml``."""
        self._nvml = nvml
        self._handles = [
            nvml.nvmlDeviceGetHandleByIndex(index)
            for index in range(nvml.nvmlDeviceGetCount())
        ]
        self._peak = 0
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None

    def used(self) -> int:
        """Return bytes in use now; see `used`."""
        ours = [size for handle in self._handles for size in self._ours(handle)]
        if ours:
            return sum(ours)
        return sum(
            int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used)
            for handle in self._handles
        )

    def watch(self) -> None:
        """Look again and again from now on, every 20 ms."""
        self._watcher = threading.Thread(target=self._look, daemon=True)
        self._watcher.start()

    def peak(self) -> int:
        """End watching; return the most bytes that were seen in use."""
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
        return max(self._peak, self.used())

    def close(self) -> None:
        """Let go of the driver."""
        self._ended.set()
        self._nvml.nvmlShutdown()

    def _look(self) -> None:
        while not self._ended.wait(_STEP_S):
            self._peak = max(self._peak, self.used())

    def _ours(self, handle: Any) -> list[int]:
        processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        return [
            process.usedGpuMemory
            for process in processes
            if process.pid == os.getpid() and process.usedGpuMemory is not None
        ]
