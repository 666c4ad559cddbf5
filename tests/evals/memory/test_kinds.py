from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from localkit.evals.comparing.family import find_family
from localkit.evals.comparing.variant import Variant
from localkit.evals.memory import kinds
from localkit.evals.memory.kinds import measure_memory
from localkit.evals.running.bench import Bench
from localkit.evals.running.spec import MemorySpec
from localkit.evals.runs.database import Runs
from localkit.events import CancelToken, no_progress
from localkit.runtime.memory.probe import MemoryProbe
from localkit.runtime.values import MemoryUse
from tests.evals.tiny_family import tiny_kit


@pytest.fixture
def bench(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q8_0": "Q8_0"})
    with closing(Runs(kit.settings.runs_db)) as runs:
        yield Bench(kit, runs, no_progress, CancelToken())
    kit.close()


@pytest.fixture
def probes(monkeypatch):
    asked = []

    def probe(info, params, *, cancel=None):
        asked.append(params)
        on_gpu = bool(params.n_gpu_layers)
        return MemoryProbe(
            memory=MemoryUse(2000, 300, 40),
            rss_mapped=2000,
            rss_anonymous=500,
            vram=2400 if on_gpu else None,
            rss_peak=2600,
            vram_peak=2900 if on_gpu else None,
        )

    monkeypatch.setattr(kinds, "probe", probe)
    return asked


def family_with(bench, **variant):
    family = find_family(bench.kit.store, "tiny", quants=["q8_0"])
    changed = replace(family.candidates[1], label="other", variant=Variant(**variant))
    return replace(family, candidates=(*family.candidates, changed))


def test_a_variant_is_measured_as_it_is_loaded(bench, probes):
    family = family_with(bench, kv_type="q8_0", n_ctx=1024, flash_attn=False)
    measure_memory(bench, family, MemorySpec(n_ctx=256))
    assert [params.n_ctx for params in probes] == [256, 256, 1024]
    assert probes[2].kv_type == "q8_0"
    assert probes[2].flash_attn is False
    assert probes[1].flash_attn is None


def test_variants_of_one_model_are_measured_each_and_once(bench, probes):
    family = family_with(bench, kv_type="q8_0")
    first = measure_memory(bench, family, MemorySpec(n_ctx=256))
    assert measure_memory(bench, family, MemorySpec(n_ctx=256)) == first
    assert len(probes) == 3


def test_peak_and_estimate_stand_beside_what_was_allocated(bench, probes):
    family = family_with(bench, n_gpu_layers=3)
    found = measure_memory(bench, family, MemorySpec(n_ctx=256)).memory
    assert found["Q8_0"].peak == 2600
    assert found["other"].peak == 2900
    assert found["Q8_0"].estimate > 0


def test_the_estimate_of_a_real_load_is_near_what_was_allocated(bench):
    family = find_family(bench.kit.store, "tiny", quants=["f16"])
    (memory,) = measure_memory(bench, family, MemorySpec(n_ctx=512)).memory.values()
    assert memory.estimate == pytest.approx(memory.total, rel=0.2)
    assert memory.peak > 0
