"""Energy that the hardware counted, where the platform tells.

Both counters run on by themselves and count what is idle as well: a figure is what
the device took, not what the work added.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

_POWERCAP = Path("/sys/class/powercap")
_NVML, _RAPL = "NVML total energy", "RAPL package"


class EnergyCounter(Protocol):
    """A running counter of joules."""

    @property
    def method(self) -> str:
        """What is counted, for a reader."""

    def read(self) -> float:
        """Return the joules so far, since some moment in the past."""

    def close(self) -> None:
        """Let go of the driver."""


class Unavailable(NamedTuple):
    """Why nothing counts energy here."""

    reason: str


def energy_counter(*, on_gpu: bool) -> EnergyCounter | Unavailable:
    """Return the counter of where a model runs: all NVIDIA GPUs, or the processor.

    The counters of the processor are root's to read on most systems since
    CVE-2020-8694; the reason says so then.
    """
    return _gpus() if on_gpu else _packages()


def _gpus() -> EnergyCounter | Unavailable:
    try:
        import pynvml
    except ImportError:
        return Unavailable("the nvidia-ml-py package is not installed")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Unavailable(f"no NVIDIA driver answers ({error})")
    counter = NvmlCounter(pynvml)
    try:
        counter.read()
    except pynvml.NVMLError as error:  # before Volta, and under WSL
        counter.close()
        return Unavailable(f"the GPU counts no energy ({error})")
    return counter


class NvmlCounter:
    """Energy of all GPUs since the driver was loaded; the step is some 100 ms."""

    method = _NVML

    def __init__(self, nvml: Any) -> None:
        """Take over an initialised ``pynvml``."""
        self._nvml = nvml
        self._handles = [
            nvml.nvmlDeviceGetHandleByIndex(index)
            for index in range(nvml.nvmlDeviceGetCount())
        ]

    def read(self) -> float:
        """Return joules; the driver counts millijoules."""
        total = sum(
            self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            for handle in self._handles
        )
        return float(total) / 1000

    def close(self) -> None:
        """Let go of the driver."""
        self._nvml.nvmlShutdown()


def _packages() -> EnergyCounter | Unavailable:
    packages = [
        zone
        for zone in sorted(_POWERCAP.glob("intel-rapl:*"))
        if zone.name.count(":") == 1  # the others are parts of a package
    ]
    if not packages:
        return Unavailable("the processor's energy counters are not there")
    try:
        return RaplCounter(packages)
    except PermissionError as error:
        return Unavailable(f"{error.filename} is for root alone to read")
    except (OSError, ValueError) as error:
        return Unavailable(f"the processor's energy counters cannot be read ({error})")


class RaplCounter:
    """Energy of all processor packages; each counter wraps around."""

    method = _RAPL

    def __init__(self, packages: list[Path]) -> None:
        """Start to count.

        Raises:
            OSError: a counter cannot be read.
        """
        self._packages = packages
        self._ranges = [_number(zone / "max_energy_range_uj") for zone in packages]
        self._last = [_number(zone / "energy_uj") for zone in packages]
        self._total = 0

    def read(self) -> float:
        """Return joules since the making; call it once a minute, or laps are lost."""
        now = [_number(zone / "energy_uj") for zone in self._packages]
        for value, last, span in zip(now, self._last, self._ranges, strict=True):
            self._total += value - last if value >= last else value + span - last
        self._last = now
        return self._total / 1e6

    def close(self) -> None:
        """Hold nothing."""


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
