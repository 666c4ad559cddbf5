from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.memory import vram
from localkit.runtime.memory.probe import measure_memory
from localkit.runtime.memory.resident import forget_peak, peak_resident, resident
from localkit.runtime.params import LoadParams

MIB = 1 << 20


@pytest.mark.skipif(peak_resident() is None, reason="the system keeps no peak")
def test_the_peak_remembers_what_is_gone_and_can_be_forgotten():
    forget_peak()
    before = peak_resident()
    held = np.ones(64 * MIB, np.uint8)
    assert resident().total >= held.nbytes
    del held
    assert peak_resident() >= before + 60 * MIB
    forget_peak()
    assert peak_resident() < before + 60 * MIB


def test_a_probe_computes_at_the_end_of_a_full_context(tiny_gguf):
    params = LoadParams(n_ctx=1024, n_ubatch=64, n_seq_max=4, n_threads=1)
    taken = measure_memory(read_info(tiny_gguf), params)
    assert taken.n_filled == 4 * ((1024 - 64) // 4)
    assert taken.rss_peak > 0
    assert taken.vram is taken.vram_peak is None


def test_a_context_is_filled_by_copies_of_a_part_of_it(tiny_gguf, monkeypatch):
    params = LoadParams(n_ctx=512, n_seq_max=8, n_threads=1)
    session = LlamaRuntime().load(read_info(tiny_gguf), params)
    context, computed, used = session._context, [], []
    real = context.prefill

    def recorded(tokens, *, start=0, output):
        computed.append(len(tokens))
        real(tokens, start=start, output=output)

    monkeypatch.setattr(context, "prefill", recorded)
    last = session._loaded.engine.llama_memory_seq_pos_max
    session.fill_context(
        32,
        before=lambda: used.extend(last(context._memory, one) for one in range(8)),
    )
    session.close()
    assert computed == [60, 32]
    assert used == [59] * 8


class Nvml(ModuleType):
    """What `pynvml` has, of one GPU whose use goes up and down."""

    class NVMLError(Exception):
        pass

    def __init__(self, used):
        super().__init__("pynvml")
        self.used, self.shut = iter(used), 0
        self.seen = []

    def nvmlInit(self):
        pass

    def nvmlShutdown(self):
        self.shut += 1

    def nvmlDeviceGetCount(self):
        return 1

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [SimpleNamespace(pid=1, usedGpuMemory=99)]  # not ours

    def nvmlDeviceGetMemoryInfo(self, handle):
        self.seen.append(next(self.used, 100))
        return SimpleNamespace(used=self.seen[-1])


def test_the_most_gpu_memory_seen_is_kept_though_it_is_given_back(monkeypatch):
    nvml = Nvml([100, 700, 300])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(vram, "_STEP_S", 0.001)
    meter = vram.open_meter()
    meter.watch()
    while len(nvml.seen) < 3:
        meter._ended.wait(0.001)
    assert meter.peak() == 700
    meter.close()
    assert nvml.shut == 1


def test_gpu_memory_in_use_lets_go_of_the_driver(monkeypatch):
    nvml = Nvml([512])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert vram.used() == 512
    assert nvml.shut == 1
