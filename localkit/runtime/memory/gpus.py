"""What the GPUs of this machine are doing, as the NVIDIA driver tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class GpuUse:
    """One GPU now."""

    name: str
    used: int
    """Bytes in use by everybody."""
    total: int
    busy: float | None
    """Share of the last moments in which it computed, 0 to 1; None where the driver
    does not say."""


class GpuMeter:
    """Reads all GPUs; nothing where there is no driver or no ``nvidia-ml-py``."""

    def __init__(self) -> None:
        """Look for a driver, once."""
        self._nvml: Any = None
        self._handles: list[Any] = []
        try:
            import pynvml

            pynvml.nvmlInit()
        except ImportError:
            return
        except pynvml.NVMLError:
            return
        self._nvml = pynvml
        self._handles = [
            pynvml.nvmlDeviceGetHandleByIndex(index)
            for index in range(pynvml.nvmlDeviceGetCount())
        ]

    def read(self) -> tuple[GpuUse, ...]:
        """Return each GPU, in the driver's order."""
        return tuple(map(self._read, self._handles))

    def _read(self, handle: Any) -> GpuUse:
        nvml = self._nvml
        name = nvml.nvmlDeviceGetName(handle)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        try:
            busy = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
        except nvml.NVMLError:  # MIG, and some virtual GPUs
            busy = None
        return GpuUse(
            name if isinstance(name, str) else name.decode(),
            int(memory.used),
            int(memory.total),
            busy,
        )

    def close(self) -> None:
        """Let go of the driver."""
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml, self._handles = None, []
