"""Chunks of a cell, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from localkit.errors import ResultsInvalid
from localkit.evals.text.divergence import ChunkDivergence

if TYPE_CHECKING:
    from localkit.evals.runs.database import Cell


def put_chunk(cell: Cell, index: int, chunk: ChunkDivergence) -> None:
    """Store one chunk of a candidate."""
    arrays = {name: np.asarray(value) for name, value in chunk._asdict().items()}
    cell.put_arrays(str(index), arrays)


def stored_chunk(cell: Cell, index: int) -> ChunkDivergence:
    """Return a chunk that `put_chunk` stored.

    Raises:
        ResultsInvalid: it is missing or damaged.
    """
    arrays: dict[str, Any] = dict(cell.arrays(str(index)))
    try:
        return ChunkDivergence(**arrays | {"n_bytes": int(arrays["n_bytes"])})
    except (KeyError, TypeError) as error:
        msg = f"chunk {index} of cell {cell.key[:12]} holds {', '.join(sorted(arrays))}"
        raise ResultsInvalid(
            msg, hint="move the results away, measure again"
        ) from error
