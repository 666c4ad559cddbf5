"""Our importance matrices and what is made with them, against the real programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.gguf.imatrix import read_imatrix, write_imatrix
from localkit.gguf.reader import read_header
from localkit.runtime.quantize import quantize_file
from tests.fixtures.imatrix import write_tiny_moe
from tests.parity import imatrix_reference as reference
from tests.parity.ladder import tensor_digest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.parity,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (reference.TOOLS / "llama-imatrix").exists(),
        reason="no llama-imatrix here: run make parity",
    ),
]


@pytest.mark.model
def test_each_column_agrees_and_the_program_takes_our_file(
    files: dict[str, Path], tmp_path: Path
) -> None:
    model = files["F16"]
    ours_file, theirs_file = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    ours = reference.collect(model, ours_file)
    theirs = reference.tool_imatrix(model, theirs_file)
    assert (ours.n_chunks, ours.chunk_size) == (theirs.n_chunks, theirs.chunk_size)
    assert ours.entries.keys() == theirs.entries.keys()
    for name, entry in theirs.entries.items():
        np.testing.assert_array_equal(ours.entries[name].counts, entry.counts)
        np.testing.assert_allclose(ours.entries[name].sums, entry.sums, rtol=1e-4)
    write_imatrix(tmp_path / "again.gguf", theirs)
    assert (tmp_path / "again.gguf").read_bytes() == theirs_file.read_bytes()

    quantize_file(model, tmp_path / "a.gguf", "Q2_K", imatrix=ours_file, n_threads=1)
    reference.tool_quantize(model, tmp_path / "b.gguf", "Q2_K", ours_file)
    assert tensor_digest(tmp_path / "a.gguf") == tensor_digest(tmp_path / "b.gguf")
    keys, theirs_keys = (
        dict(read_header(tmp_path / name).kv) for name in ("a.gguf", "b.gguf")
    )
    # The program writes where the matrix lay, we only its name.
    assert keys.pop("quantize.imatrix.file") == "ours.gguf"
    assert theirs_keys.pop("quantize.imatrix.file") == str(ours_file)[:127]
    assert keys == theirs_keys


def test_experts_agree(tmp_path: Path) -> None:
    model = write_tiny_moe(tmp_path / "moe.gguf")
    ours = reference.collect(model, tmp_path / "ours.gguf")
    theirs = reference.tool_imatrix(model, tmp_path / "theirs.gguf")
    assert ours.entries.keys() == theirs.entries.keys()
    for name, entry in theirs.entries.items():
        # Near a tie another expert may be chosen: batches round differently.
        np.testing.assert_allclose(ours.entries[name].counts, entry.counts, atol=4)
        np.testing.assert_allclose(ours.entries[name].sums, entry.sums, rtol=0.02)


def test_the_old_format_is_read_as_the_program_reads_it(tmp_path: Path) -> None:
    model = write_tiny_moe(tmp_path / "moe.gguf")
    new = reference.tool_imatrix(model, tmp_path / "new.gguf")
    reference.run(
        reference.TOOLS / "llama-imatrix",
        *("--model", str(model), "--in-file", str(tmp_path / "new.gguf")),
        *("-o", str(tmp_path / "old.dat"), "--output-format", "dat"),
    )
    old = read_imatrix(tmp_path / "old.dat")
    assert old.entries.keys() == new.entries.keys()
    for name, entry in new.entries.items():
        np.testing.assert_allclose(
            old.entries[name].means(), entry.means(), rtol=1e-5, err_msg=name
        )


@pytest.mark.parametrize("label", reference.labels())
def test_the_same_matrix_gives_the_same_bytes(tmp_path: Path, label: str) -> None:
    model, imatrix = reference.wide(tmp_path)
    ours, theirs = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    quantize_file(model, ours, label, imatrix=imatrix, n_threads=1)
    reference.tool_quantize(model, theirs, label, imatrix)
    assert tensor_digest(ours) == tensor_digest(theirs)
