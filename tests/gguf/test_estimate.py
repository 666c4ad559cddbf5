from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localkit.gguf import LayerCache, ModelInfo, read_info
from localkit.gguf.estimate import context_that_fits, estimate_memory

MIB = 1 << 20


@pytest.fixture
def info(tiny_gguf: Path) -> ModelInfo:
    return read_info(tiny_gguf)


def test_kv_is_cells_by_heads_by_width(info: ModelInfo) -> None:
    per_cell = 2 * (2 * 16 + 2 * 16) * 2  # layers x (K + V) x bytes
    assert estimate_memory(info, n_ctx=512).kv == 512 * per_cell
    assert estimate_memory(info, n_ctx=300).kv == 512 * per_cell  # llama.cpp pads
    assert estimate_memory(info, n_ctx=512, kv_type="q8_0").kv == (
        512 * per_cell // 2 * 34 // 32
    )


def test_layers_alike_need_no_list(info: ModelInfo) -> None:
    assert (
        estimate_memory(replace(info, cache_layers=()), n_ctx=512).kv
        == estimate_memory(info, n_ctx=512).kv
    )


def test_windowed_layers_keep_the_window_only(info: ModelInfo) -> None:
    """gemma-3-270m at 32k, measured: 15 windowed layers take 15 MiB, 3 full 96."""
    windowed = LayerCache(1, 256, 256, windowed=True)
    full = LayerCache(1, 256, 256, windowed=False)
    layers = tuple([windowed] * 15 + [full] * 3)
    gemma = replace(info, cache_layers=layers, sliding_window=512)
    kv = estimate_memory(gemma, n_ctx=32_768, n_seq_max=1).kv
    assert kv == (15 + 96) * MIB


def test_without_flash_attention_the_scores_are_kept(info: ModelInfo) -> None:
    with_it = estimate_memory(info, n_ctx=8192).compute
    assert estimate_memory(info, n_ctx=8192, flash_attn=False).compute > 3 * with_it


def test_total_is_the_sum(info: ModelInfo) -> None:
    estimate = estimate_memory(info, n_ctx=512)
    assert estimate.total == estimate.weights + estimate.kv + estimate.compute
    assert estimate.weights == info.weights_size


def test_an_unknown_kv_type_is_a_key_error(info: ModelInfo) -> None:
    with pytest.raises(KeyError):
        estimate_memory(info, n_ctx=512, kv_type="q9")


@pytest.mark.parametrize("n_ctx_train", [0, 100, 4096, 100_000])
def test_the_context_that_fits_is_the_longest_one(
    n_ctx_train: int, info: ModelInfo
) -> None:
    long = replace(info, n_ctx_train=n_ctx_train)
    for n_ctx in (256, 1024, 2048):
        available = estimate_memory(long, n_ctx=n_ctx).total
        expected = min(n_ctx, n_ctx_train or n_ctx)
        assert context_that_fits(long, available) == expected
    least = estimate_memory(long, n_ctx=256).total
    assert context_that_fits(long, least - 1) == 0
    if n_ctx_train:
        assert context_that_fits(long, 1 << 50) == n_ctx_train


@pytest.mark.model
def test_the_estimate_is_what_the_engine_allocates(smollm2_gguf: Path) -> None:
    loads: list[dict[str, Any]] = [
        {"n_ctx": 512, "n_ubatch": 512, "kv_type": "f16"},
        {"n_ctx": 4096, "n_ubatch": 512, "kv_type": "f16"},
        {"n_ctx": 4096, "n_ubatch": 128, "kv_type": "q8_0"},
    ]
    script = Path(__file__).with_name("allocate_each.py")
    done = subprocess.run(
        [sys.executable, script, smollm2_gguf, json.dumps(loads)],
        capture_output=True,
        check=True,
        text=True,
        timeout=100,
    )
    info = read_info(smollm2_gguf)
    for load, allocated in zip(loads, json.loads(done.stdout), strict=True):
        estimate = estimate_memory(info, n_seq_max=8, **load)
        assert estimate.weights == allocated["weights"]
        assert round(estimate.kv / MIB, 2) == allocated["KV"]
        compute = allocated["compute"] + allocated["output"]
        assert estimate.compute / MIB == pytest.approx(compute, rel=0.15)
