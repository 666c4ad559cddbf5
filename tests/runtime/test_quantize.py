from __future__ import annotations

import json
import platform
import threading
from typing import TYPE_CHECKING

import pytest

from localkit.errors import Cancelled, GGUFError, QuantizeFailed, WorkerDied
from localkit.events import CancelToken, Progress
from localkit.gguf import read_info
from localkit.gguf.preflight import check
from localkit.gguf.reader import read_header
from localkit.runtime.isolation import child
from localkit.runtime.quantize import file_types, quantize_file
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.imatrix import write_made_up_imatrix
from tests.parity import imatrix_reference
from tests.parity.ladder import tensor_digest

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
    reports: list[Progress] = []
    with pytest.raises(QuantizeFailed, match="needs an importance matrix") as caught:
        quantize_file(wide, target, label, n_threads=1, on_progress=reports.append)
    assert "--imatrix" in caught.value.hint
    # It is known before the work begins.
    assert reports == []
    assert not target.exists()


@pytest.fixture(scope="module")
def made_up(wide: Path) -> Path:
    """A matrix of random importance for that model."""
    return write_made_up_imatrix(wide.with_name("imatrix.gguf"), wide)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The model and the matrix that llama-quantize was given."""
    return imatrix_reference.wide(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def recorded() -> dict[str, str]:
    """What llama-quantize made of the same model with the same matrix."""
    loaded = json.loads(imatrix_reference.COMMITTED.read_text(encoding="utf-8"))
    digests: dict[str, str] = loaded["tensor_sha256"]
    return digests


same_bytes = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"},
    reason="other processors may fuse multiplications and additions",
)


# Of the others llama.cpp first makes tables for 3 to 10 s: tests/parity has them.
QUICK = ("IQ2_XXS", "IQ3_XS", "IQ3_XXS", "Q2_K", "Q2_K_S", "Q3_K_M", "Q4_0")


@same_bytes
@pytest.mark.parametrize("label", QUICK)
def test_with_a_matrix_the_bytes_are_those_of_llama_quantize(
    pair: tuple[Path, Path], recorded: dict[str, str], tmp_path: Path, label: str
) -> None:
    (model, imatrix), target = pair, tmp_path / "out.gguf"
    info = quantize_file(model, target, label, imatrix=imatrix, n_threads=1)
    assert info.quant == label
    assert tensor_digest(target) == recorded[label]


def test_the_file_says_which_matrix_it_was_made_with_and_not_where_it_lay(
    wide: Path, made_up: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.gguf"
    quantize_file(wide, target, "Q3_K_M", imatrix=made_up, n_threads=1)
    kv = read_header(target).kv
    assert kv["quantize.imatrix.file"] == "imatrix.gguf"
    assert kv["quantize.imatrix.dataset"] == "made up"
    assert kv["quantize.imatrix.entries_count"] == 14
    assert kv["quantize.imatrix.chunks_count"] == 1
    assert str(made_up.parent) not in str(dict(kv))
    quantize_file(wide, target, "Q3_K_M", n_threads=1)
    assert "quantize.imatrix.file" not in read_header(target).kv


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ({"n_embd": 64}, "is of another model: blk.0.attn_q.weight has 256 columns"),
        ({"n_embd": 256, "n_layers": 1}, "needs an importance matrix for blk.1"),
    ],
)
def test_a_matrix_of_another_model_is_refused(
    wide: Path, tmp_path: Path, damage: dict[str, int], says: str
) -> None:
    other = write_tiny_llama(tmp_path / "other.gguf", **damage)  # type: ignore[arg-type]
    imatrix = write_made_up_imatrix(tmp_path / "m.gguf", other)
    target = tmp_path / "out.gguf"
    with pytest.raises(QuantizeFailed, match=says):
        quantize_file(wide, target, "IQ2_XS", imatrix=imatrix, n_threads=1)
    assert not target.exists()


def test_a_matrix_that_tells_nothing_about_the_model_or_is_none_is_refused(
    wide: Path, tmp_path: Path
) -> None:
    deeper = write_tiny_llama(tmp_path / "deeper.gguf", n_embd=256, n_layers=3)
    imatrix = write_made_up_imatrix(tmp_path / "m.gguf", deeper)
    renamed = tmp_path / "renamed.gguf"
    renamed.write_bytes(imatrix.read_bytes().replace(b"blk.", b"blq."))
    with pytest.raises(QuantizeFailed, match="tells of none of the tensors"):
        quantize_file(
            wide, tmp_path / "out.gguf", "Q4_K_M", imatrix=renamed, n_threads=1
        )
    with pytest.raises(GGUFError, match="no importance matrix"):
        quantize_file(wide, tmp_path / "out.gguf", "Q4_K_M", imatrix=wide, n_threads=1)


@same_bytes
def test_patterns_give_tensors_types_of_their_own(
    pair: tuple[Path, Path], recorded: dict[str, str], tmp_path: Path
) -> None:
    (model, imatrix), target = pair, tmp_path / "out.gguf"
    quantize_file(
        model,
        target,
        "Q4_K_M",
        imatrix=imatrix,
        tensor_types=imatrix_reference.MIXED,
        n_threads=1,
    )
    types = {tensor.name: tensor.type.name for tensor in read_header(target).tensors}
    assert types["blk.0.attn_v.weight"] == "q8_0"
    assert types["blk.0.ffn_up.weight"] == types["blk.0.ffn_gate.weight"] == "iq4_xs"
    assert types["blk.0.ffn_down.weight"] == "q6_K"
    assert tensor_digest(target) == recorded["mixed"]


def test_the_first_pattern_that_matches_decides(wide: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    overrides = (("blk.0.ffn_down", "Q8_0"), ("ffn_down", "Q5_K"))
    quantize_file(wide, target, "Q4_K_M", tensor_types=overrides, n_threads=1)
    types = {tensor.name: tensor.type.name for tensor in read_header(target).tensors}
    assert types["blk.0.ffn_down.weight"] == "q8_0"
    assert types["blk.1.ffn_down.weight"] == "q5_K"


@pytest.mark.parametrize(
    ("quant", "override", "says"),
    [
        ("Q4_K_M", ("ffn_dwon", "q8_0"), "no tensor's name matches 'ffn_dwon'"),
        ("Q4_K_M", ("ffn_down", "q8_K"), "'q8_K' is no type that a tensor"),
        ("Q4_K_M", ("ffn_down", "F64"), "'F64' is no type that a tensor"),
        ("Q4_K_M", ("ffn_(down", "q8_0"), "is no regular expression"),
        ("Q4_K_M", ("", "q8_0"), "empty pattern"),
        ("F16", ("ffn_down", "q8_0"), "llama.cpp never changes its type"),
        ("Q4_K_M", ("ffn_down", "iq2_xs"), "needs an importance matrix for blk.0.ffn"),
    ],
)
def test_a_pattern_without_the_effect_it_asks_for_is_refused(
    wide: Path, tmp_path: Path, quant: str, override: tuple[str, str], says: str
) -> None:
    target = tmp_path / "out.gguf"
    with pytest.raises(QuantizeFailed, match=says.replace("(", r"\(")):
        quantize_file(wide, target, quant, tensor_types=[override], n_threads=1)
    assert not target.exists()


def test_a_type_that_does_not_divide_the_rows_is_no_silent_fallback(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    with pytest.raises(QuantizeFailed, match="would become q8_0, not q6_K: its rows"):
        quantize_file(
            tiny_gguf,
            tmp_path / "out.gguf",
            "Q4_0",
            tensor_types=[("ffn_down", "q6_K")],
            n_threads=1,
        )


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
