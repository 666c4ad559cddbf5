from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from localkit.errors import Cancelled, QuantizeFailed, WorkerDied
from localkit.events import CancelToken, Progress
from localkit.gguf import read_info
from localkit.gguf.preflight import check
from localkit.runtime.isolation import child
from localkit.runtime.quantize import file_types, quantize_file
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path

# On rows of 256 or more; a model with shorter ones falls back and needs none.
NEEDS_IMATRIX = {
    "IQ3_XS",
    "IQ3_XXS",
    "IQ2_XXS",
    "IQ2_XS",
    "Q2_K_S",
    "IQ1_S",
    "IQ2_S",
    "IQ2_M",
    "IQ1_M",
}
# The engine has constants for these but no way to make them: its own words say so.
NOT_MADE = {"NVFP4", "Q1_0"}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose rows are long enough for k-quants."""
    return write_tiny_llama(tmp_path_factory.mktemp("wide") / "wide.gguf", n_embd=256)


@pytest.mark.parametrize("label", sorted(set(file_types()) - NEEDS_IMATRIX - NOT_MADE))
def test_every_file_type_of_the_engine_is_made_and_can_be_loaded(
    wide: Path, tmp_path: Path, label: str
) -> None:
    target = tmp_path / "out.gguf"
    info = quantize_file(wide, target, label, n_threads=1)
    assert info.quant == label
    assert info.lossy_origin is None
    check(target)


@pytest.mark.parametrize("label", sorted(NEEDS_IMATRIX))
def test_a_type_that_needs_an_importance_matrix_says_so(
    wide: Path, tmp_path: Path, label: str
) -> None:
    target = tmp_path / "out.gguf"
    with pytest.raises(QuantizeFailed, match="needs an importance matrix"):
        quantize_file(wide, target, label, n_threads=1)
    assert not target.exists()


def test_a_quantized_source_is_refused_unless_asked_and_then_labelled_for_good(
    wide: Path, tmp_path: Path
) -> None:
    q4 = tmp_path / "q4.gguf"
    quantize_file(wide, q4, "q4_0", n_threads=1)
    with pytest.raises(QuantizeFailed, match="is Q4_0 already") as caught:
        quantize_file(q4, tmp_path / "f16.gguf", "F16", n_threads=1)
    assert "--requantize" in caught.value.hint
    expanded = quantize_file(
        q4, tmp_path / "f16.gguf", "F16", allow_requantize=True, n_threads=1
    )
    assert expanded.label == "F16 (from Q4_0)"
    assert expanded.bits_per_weight > 15
    again = quantize_file(expanded.path, tmp_path / "q8.gguf", "Q8_0", n_threads=1)
    assert again.lossy_origin == "Q4_0"
    assert read_info(again.path).label == "Q8_0 (from Q4_0)"
    with pytest.raises(QuantizeFailed, match="tiny:q8 is Q8_0 already"):
        quantize_file(again.path, tmp_path / "x.gguf", "Q4_0", name="tiny:q8")
    coarser = tmp_path / "q2.gguf"
    quantize_file(again.path, coarser, "Q2_K", allow_requantize=True, n_threads=1)
    last = tmp_path / "last.gguf"
    back = quantize_file(coarser, last, "F16", allow_requantize=True, n_threads=1)
    assert back.label == "F16 (from Q2_K)"


def test_an_unknown_file_type_lists_the_known_ones(wide: Path, tmp_path: Path) -> None:
    with pytest.raises(QuantizeFailed, match="'Q4_X' is no file type") as caught:
        quantize_file(wide, tmp_path / "out.gguf", "Q4_X")
    assert "Q4_K_M" in caught.value.hint


def test_progress_counts_tensors_and_a_stop_leaves_nothing(
    wide: Path, tmp_path: Path
) -> None:
    reports: list[Progress] = []
    quantize_file(
        wide, tmp_path / "a.gguf", "Q8_0", n_threads=1, on_progress=reports.append
    )
    assert reports[-1].done == reports[-1].total
    cancel = CancelToken()
    cancel.cancel()
    target = tmp_path / "b.gguf"
    with pytest.raises(Cancelled):
        quantize_file(wide, target, "Q8_0", n_threads=1, cancel=cancel)
    assert not target.exists()


def test_R12_a_child_that_dies_is_reported_and_this_process_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(WorkerDied, match="exit code 1"):
        child.run_in_child("no such work", {})
    assert threading.main_thread().is_alive()
