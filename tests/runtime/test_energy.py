"""Counters that this machine need not have: the files and the driver are made up."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from types import ModuleType

import pytest

from localkit.runtime import energy
from localkit.runtime.energy import RaplCounter, Unavailable, energy_counter


@pytest.fixture
def powercap(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "_POWERCAP", tmp_path)
    return tmp_path


def package(folder, name, *, now, span=1_000_000):
    zone = folder / name
    zone.mkdir()
    (zone / "energy_uj").write_text(f"{now}\n")
    (zone / "max_energy_range_uj").write_text(f"{span}\n")
    return zone


def test_packages_are_summed_and_their_parts_are_not_counted_twice(powercap):
    zones = [package(powercap, f"intel-rapl:{i}", now=0) for i in range(2)]
    package(powercap, "intel-rapl:0:0", now=0)
    counter = energy_counter(on_gpu=False)
    assert counter.method == "RAPL package"
    for zone in zones:
        (zone / "energy_uj").write_text("300000\n")
    assert counter.read() == pytest.approx(0.6)


def test_a_counter_that_wraps_around_goes_on(powercap):
    zone = package(powercap, "intel-rapl:0", now=900_000)
    counter = RaplCounter([zone])
    (zone / "energy_uj").write_text("100000\n")
    assert counter.read() == pytest.approx(0.2)
    (zone / "energy_uj").write_text("200000\n")
    assert counter.read() == pytest.approx(0.3)


def test_a_processor_without_counters_says_so(powercap):
    found = energy_counter(on_gpu=False)
    assert found == Unavailable("the processor's energy counters are not there")


def test_counters_that_are_roots_alone_are_named(powercap, monkeypatch):
    zone = package(powercap, "intel-rapl:0", now=0)

    def refused(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refused)
    found = energy_counter(on_gpu=False)
    assert isinstance(found, Unavailable)
    assert str(zone) in found.reason
    assert "for root alone" in found.reason


class Nvml(ModuleType):
    """What `pynvml` has, of two GPUs; untested on a real one."""

    class NVMLError(Exception):
        pass

    def __init__(self, *, counts=True, driver=True):
        super().__init__("pynvml")
        self.counts, self.driver, self.shut, self.now = counts, driver, False, 0

    def nvmlInit(self):
        if not self.driver:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlShutdown(self):
        self.shut = True

    def nvmlDeviceGetCount(self):
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if not self.counts:
            raise self.NVMLError("Not Supported")
        self.now += 1000
        return self.now


def test_gpus_count_millijoules_and_all_are_summed(monkeypatch):
    nvml = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    counter = energy_counter(on_gpu=True)
    assert counter.method == "NVML total energy"
    assert counter.read() == pytest.approx(3 + 4)
    counter.close()
    assert nvml.shut


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"driver": False}, "no NVIDIA driver answers (Driver Not Loaded)"),
        ({"counts": False}, "the GPU counts no energy (Not Supported)"),
    ],
)
def test_a_gpu_that_cannot_tell_gives_the_drivers_reason(monkeypatch, options, says):
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(**options))
    assert energy_counter(on_gpu=True) == Unavailable(says)


def test_without_the_package_it_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "pynvml":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    found = energy_counter(on_gpu=True)
    assert found == Unavailable("the nvidia-ml-py package is not installed")
