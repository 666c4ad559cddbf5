"""What is collected, held to arithmetic that does not run the model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import (
    Cancelled,
    DoesNotFit,
    GGUFError,
    QuantizeFailed,
    Unsupported,
)
from localkit.events import CancelToken, Progress
from localkit.gguf import read_info
from localkit.gguf.imatrix import read_imatrix
from localkit.gguf.reader import read_header
from localkit.runtime.imatrix.collect import CHUNK, collect_imatrix
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams
from localkit.runtime.quantize import quantize_file
from tests.fixtures.encoder import tiny_encoder
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.imatrix import N_CHOSEN, write_tiny_moe
from tests.parity import imatrix_reference

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.gguf.imatrix import Imatrix

TEXT = "the hello thin and there, 0123 & in her then; " * 200
FFN = ("ffn_gate", "ffn_up")


def collect(model: Path, folder: Path, **options: object) -> Imatrix:
    options = {"dataset": "t", "n_threads": 1, "n_chunks": 2, **options}
    return collect_imatrix(model, TEXT, folder / "m.gguf", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("vocab", ["bpe", "spm"])
def test_the_first_layer_sees_the_normalised_embeddings(
    tmp_path: Path, vocab: str
) -> None:
    model = write_tiny_llama(tmp_path / "m.gguf", vocab=vocab)  # type: ignore[arg-type]
    session = LlamaRuntime().load(read_info(model), LoadParams(n_ctx=512, n_threads=1))
    tokens = session.tokenize(TEXT, add_special=True)[: 2 * CHUNK]
    if session.adds_bos:
        assert session.bos is not None
        tokens[CHUNK] = session.bos  # each chunk begins as a text does
    session.close()

    embeddings = matrix(model, "token_embd.weight")[tokens]
    scale = np.sqrt(np.square(embeddings).mean(axis=1, keepdims=True) + 1e-5)
    expected = np.square(embeddings / scale).sum(axis=0)
    found = collect(model, tmp_path)
    for name in ("attn_q", "attn_k", "attn_v"):
        entry = found.entries[f"blk.0.{name}.weight"]
        np.testing.assert_allclose(entry.sums[0], expected, rtol=1e-5)
        assert entry.counts.tolist() == [2 * CHUNK]


def matrix(model: Path, name: str) -> np.ndarray:
    """Return a float16 matrix of a file as float64, a row an output."""
    header = read_header(model)
    tensor = next(tensor for tensor in header.tensors if tensor.name == name)
    start = header.data_offset + tensor.offset
    raw = model.read_bytes()[start : start + tensor.n_bytes]
    return np.frombuffer(raw, "<f2").reshape(tensor.shape[::-1]).astype(np.float64)


def test_every_matrix_of_every_block_is_there_and_no_table(
    tmp_path: Path, tiny_gguf: Path
) -> None:
    found = collect(tiny_gguf, tmp_path)
    matrices = {
        tensor.name
        for tensor in read_header(tiny_gguf).tensors
        if tensor.name.startswith("blk.") and len(tensor.shape) == 2
    }
    assert set(found.entries) == matrices
    assert (found.datasets, found.n_chunks, found.chunk_size) == (("t",), 2, CHUNK)
    # The last layer too: tokens whose output nobody wants would leave it out.
    assert {int(entry.counts[0]) for entry in found.entries.values()} == {2 * CHUNK}


def test_each_expert_counts_the_tokens_that_chose_it(tmp_path: Path) -> None:
    found = collect(write_tiny_moe(tmp_path / "moe.gguf"), tmp_path).entries
    for layer in range(2):
        router = found[f"blk.{layer}.ffn_gate_inp.weight"]
        for name in FFN:
            experts = found[f"blk.{layer}.{name}_exps.weight"]
            assert experts.counts.sum() == N_CHOSEN * router.counts[0]
            # The router and every chosen expert read the same activations.
            np.testing.assert_allclose(
                experts.sums.sum(axis=0), N_CHOSEN * router.sums[0], rtol=1e-5
            )
        down = found[f"blk.{layer}.ffn_down_exps.weight"]
        np.testing.assert_array_equal(down.counts, experts.counts)


@pytest.mark.model
@pytest.mark.timeout(300)
def test_the_real_models_matrix_is_what_llama_imatrix_wrote(
    tmp_path: Path, smollm2_gguf: Path
) -> None:
    reference = json.loads(imatrix_reference.COMMITTED.read_text(encoding="utf-8"))
    source = tmp_path / "f16.gguf"
    quantize_file(smollm2_gguf, source, "F16", allow_requantize=True, n_threads=1)
    found = imatrix_reference.collect(source, tmp_path / "m.gguf")
    assert imatrix_reference.figures(found).keys() == reference["sums"].keys()
    for name, theirs in reference["sums"].items():
        ours = imatrix_reference.figures(found)[name]
        assert ours == pytest.approx(theirs, rel=imatrix_reference.TOLERANCE), name
    counts = {int(entry.counts[0]) for entry in found.entries.values()}
    assert counts == {reference["n_tokens"]}


def test_progress_counts_chunks_and_a_stop_leaves_nothing(
    tmp_path: Path, tiny_gguf: Path
) -> None:
    reports: list[Progress] = []
    collect(tiny_gguf, tmp_path, on_progress=reports.append)
    assert (reports[-1].done, reports[-1].total, reports[-1].unit) == (2, 2, "chunks")
    cancel = CancelToken()
    target = tmp_path / "stopped.gguf"
    with pytest.raises(Cancelled):
        collect_imatrix(
            tiny_gguf,
            TEXT,
            target,
            dataset="t",
            on_progress=lambda report: (
                cancel.cancel() if report.unit == "chunks" else None
            ),
            cancel=cancel,
        )
    assert not target.exists()


def test_a_text_that_is_too_short_is_refused(tmp_path: Path, tiny_gguf: Path) -> None:
    with pytest.raises(QuantizeFailed, match="at least 1024 are needed"):
        collect_imatrix(tiny_gguf, "hello", tmp_path / "m.gguf", dataset="t")
    with pytest.raises(QuantizeFailed, match="0 chunks"):
        collect(tiny_gguf, tmp_path, n_chunks=0)
    assert not (tmp_path / "m.gguf").exists()


def test_an_encoder_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "encoder.gguf"
    model.write_bytes(tiny_encoder().build())
    with pytest.raises(Unsupported, match="is an encoder"):
        collect(model, tmp_path)


def test_what_does_not_fit_or_is_no_model_is_refused_as_by_a_load(
    tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "m.gguf"
    collect(tiny_gguf, tmp_path)
    with pytest.raises(GGUFError, match="architecture is missing"):
        collect(made, tmp_path)
    monkeypatch.setenv("LOCALKIT_MEMORY", "64KiB")
    with pytest.raises(DoesNotFit):
        collect(tiny_gguf, tmp_path)
    assert read_imatrix(made).n_chunks == 2
