"""What is said of an offer, on machines of several kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.choosing.choose import choose
from localkit.choosing.offer import Offer, derived
from localkit.choosing.weigh import weigh
from localkit.config import settings
from localkit.gguf import read_info
from localkit.runtime import hardware
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.gguf.info import ModelInfo

MIB = 1 << 20


@pytest.fixture
def info(tmp_path: Path) -> ModelInfo:
    return read_info(write_tiny_llama(tmp_path / "Tiny-F16.gguf"))


def offers(info: ModelInfo, sizes: dict[str, int]) -> list[Offer]:
    """Return offers of one model with weights of any size."""
    return [
        Offer(
            label,
            size * MIB,
            info=derived(info, label, size * MIB, info.path.with_name("none")),
        )
        for label, size in sizes.items()
    ]


def test_another_quant_of_a_model_differs_in_its_weights_alone(
    info: ModelInfo,
) -> None:
    other = derived(info, "Q4_0", info.file_size // 2, info.path)
    beside = info.file_size - info.weights_size
    assert other.weights_size == info.file_size // 2 - beside
    assert other.bits_per_weight == pytest.approx(
        8 * other.weights_size / info.n_params
    )
    assert (other.quant, other.n_vocab, other.cache_layers) == (
        "Q4_0",
        info.n_vocab,
        info.cache_layers,
    )


def test_rows_go_from_large_to_small_whatever_the_order(info: ModelInfo) -> None:
    sizes = {"Q2_K": 10, "Q8_0": 40, "Q4_K_M": 20}
    assert [row.label for row in weigh("x", offers(info, sizes)).rows] == [
        "Q8_0",
        "Q4_K_M",
        "Q2_K",
    ]


def test_on_a_gpu_what_fits_it_whole_goes_before_what_spills(
    info: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = hardware.Device("CUDA0", "a card", "GPU", free=100 * MIB, total=200 * MIB)
    monkeypatch.setattr(hardware, "devices", lambda: (gpu,))
    sizes = {"Q8_0": 120, "Q4_K_M": 60, "Q2_K": 30}
    weighing = choose(weigh("x", offers(info, sizes)))
    spilling, whole, _ = weighing.rows
    assert spilling.verdict == "tight"
    assert "of 3 layers on the GPU" in spilling.why
    assert whole.fits
    assert whole.available == 90 * MIB  # a tenth stays free
    assert weighing.chosen == "Q4_K_M"


def test_where_all_spill_over_the_gpu_the_smallest_is_taken(
    info: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = hardware.Device("CUDA0", "a card", "GPU", free=40 * MIB, total=200 * MIB)
    monkeypatch.setattr(hardware, "devices", lambda: (gpu,))
    weighing = choose(weigh("x", offers(info, {"Q8_0": 120, "Q2_K": 60})))
    assert weighing.chosen == "Q2_K"
    assert "layers on the GPU" in weighing.why


def test_an_offer_without_a_header_is_unknown_and_says_why() -> None:
    (row,) = weigh("x", [Offer("Q8_0", 40, trouble="it is no GGUF")]).rows
    assert (row.verdict, row.why, row.needed) == ("unknown", "it is no GGUF", None)


def test_its_own_header_is_read_only_for_a_close_call(
    info: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def own() -> ModelInfo:
        read.append("own")
        return info

    size = info.file_size
    nowhere = info.path.with_name("none")
    offer = Offer("F16", size, info=derived(info, "F16", size, nowhere), read=own)
    (row,) = weigh("x", [offer]).rows
    assert row.needed is not None
    assert read == []
    monkeypatch.setenv("LOCALKIT_MEMORY", str(int(row.needed * 1.05)))
    settings.cache_clear()
    (close,) = weigh("x", [offer]).rows
    assert read == ["own"]
    assert close.needed != row.needed  # llama.cpp's figure, not arithmetic's
    assert close.needed == pytest.approx(row.needed, rel=0.15)
