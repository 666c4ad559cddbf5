"""An importance matrix made here lowers the divergence on a text it was not made from.

Q2_K in the normal run, from two chunks of text. The whole table, with the matrix of
the whole calibration text, stands in design/035.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.evals.statistics.estimates import paired_difference
from localkit.evals.tasks.catalog import load_text
from localkit.evals.text.divergence import compare_chunk, reference_chunk
from localkit.evals.text.windows import cut_windows
from localkit.runtime.imatrix.collect import collect_imatrix
from localkit.runtime.quantize import quantize_file
from tests.parity import ladder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

N_CHUNKS = 4
"""Of held-out text; the entries of the calibration text are others."""


@pytest.mark.parametrize(
    ("quant", "n_collected"),
    [("Q2_K", 2), pytest.param("Q3_K_M", None, marks=pytest.mark.parity)],
)
def test_the_kl_of_held_out_text_falls(
    files: dict[str, Path], tmp_path: Path, quant: str, n_collected: int | None
) -> None:
    source = files[ladder.REFERENCE]
    imatrix = tmp_path / "imatrix.gguf"
    calibration = load_text("calibration")
    collect_imatrix(
        source,
        calibration.text,
        imatrix,
        dataset=calibration.name,
        n_chunks=n_collected,
        n_threads=1,
    )
    with_matrix, without = tmp_path / "with.gguf", tmp_path / "without.gguf"
    quantize_file(source, with_matrix, quant, imatrix=imatrix, n_threads=1)
    quantize_file(source, without, quant, n_threads=1)
    # The same bits, spent otherwise.
    assert with_matrix.stat().st_size - without.stat().st_size < 4096

    klds = divergences(source, without, with_matrix)
    clusters = np.repeat(np.arange(N_CHUNKS), klds[0].size // N_CHUNKS)
    gain = paired_difference(klds[1], klds[0], clusters)
    assert gain.high < 0, gain
    assert klds[1].mean() < 0.85 * klds[0].mean()


def divergences(reference: Path, *candidates: Path) -> list[NDArray[np.float64]]:
    """Return each candidate's KL divergence from the reference, token by token."""
    session = ladder.load(reference)
    text = load_text("jargon-file").text
    windows = cut_windows(session, text, n_ctx=512, max_chunks=N_CHUNKS)
    base = [reference_chunk(session, windows, i) for i in range(N_CHUNKS)]
    session.close()
    found = []
    for candidate in candidates:
        session = ladder.load(candidate)
        chunks = [
            compare_chunk(session, windows, i, base[i].record, base[i].exact)
            for i in range(N_CHUNKS)
        ]
        session.close()
        found.append(np.concatenate([chunk.kld for chunk in chunks]))
    return found
