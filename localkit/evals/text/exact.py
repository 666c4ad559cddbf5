"""A candidate against a reference that is there in full, chunk by chunk.

Nothing is rounded to 16 bits and no token is left out: the KL divergence is the
whole sum, so a model against itself is at exactly 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from localkit.errors import NotComparable
from localkit.evals.text.divergence import ChunkDivergence, scored_logits
from localkit.evals.text.log_probs import LARGEST, ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from localkit.evals.text.chunks import Chunks
    from localkit.events import CancelToken
    from localkit.runtime.protocol import Session


class ExactChunk(NamedTuple):
    """The reference's part of one chunk, whole."""

    logits: NDArray[np.float32]
    """Shape (n_scored, n_vocab)."""
    log_sum: NDArray[np.float64]
    """ln Σ exp(logit) of each row."""
    nll: NDArray[np.float64]
    top: NDArray[np.int32]


class _Rows(NamedTuple):
    nll: NDArray[np.float64]
    kld: NDArray[np.float64]
    top: NDArray[np.int32]


def exact_chunk(
    session: Session,
    chunks: Chunks,
    index: int,
    *,
    cancel: CancelToken | None = None,
) -> ExactChunk:
    """Compute the reference's logits of one chunk: 50 MB at 49k vocabulary.

    Raises:
        ContextTooLong: the session's context is shorter than a chunk.
        Cancelled: ``cancel`` was raised.
    """
    n_rows = chunks.n_rows(index)
    whole = ExactChunk(
        np.empty((n_rows, session.n_vocab), np.float32),
        np.empty(n_rows),
        np.empty(n_rows),
        np.empty(n_rows, np.int32),
    )
    for rows, block, targets in scored_logits(session, chunks, index, cancel):
        log_sum = log_sums(block)
        whole.logits[rows] = block
        whole.log_sum[rows] = log_sum
        whole.nll[rows] = log_sum - block[np.arange(len(block)), targets]
        whole.top[rows] = block.argmax(axis=1)
    return whole


def compare_exactly(
    session: Session,
    chunks: Chunks,
    index: int,
    base: ExactChunk,
    *,
    cancel: CancelToken | None = None,
) -> ChunkDivergence:
    """Compare one chunk of a candidate with the reference's logits.

    Raises:
        NotComparable: the logits belong to another vocabulary.
        ContextTooLong: the session's context is shorter than a chunk.
        Cancelled: ``cancel`` was raised.
    """
    shape = (chunks.n_rows(index), session.n_vocab)
    if base.logits.shape != shape:
        msg = f"the reference's logits are {base.logits.shape}, this model's {shape}"
        raise NotComparable(msg, hint="compare quants of one model on one text")
    parts = [
        _compare(block, targets, base.logits[rows], base.log_sum[rows])
        for rows, block, targets in scored_logits(session, chunks, index, cancel)
    ]
    found = _Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return _divergence(found, base, chunks.n_bytes_scored[index])


def floor_of(base: ExactChunk, n_bytes: int) -> ChunkDivergence:
    """Return the reference against itself: no loss, without another decode."""
    return _divergence(
        _Rows(base.nll, np.zeros_like(base.nll), base.top), base, n_bytes
    )


def log_sums(block: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ln Σ exp(logit) of each row of (rows, n_vocab), in float64 throughout."""
    result = np.empty(len(block))
    work = np.empty((min(ROWS, len(block)), block.shape[1]))
    for start in range(0, len(block), ROWS):
        rows = block[start : start + ROWS]
        highest = rows.max(axis=1).astype(np.float64)
        each = work[: len(rows)]
        np.subtract(rows, highest[:, None], out=each)
        np.exp(each, out=each)
        result[start : start + ROWS] = highest + np.log(each.sum(axis=1))
    return result


def _compare(
    block: NDArray[np.float32],
    targets: NDArray[np.int32],
    base: NDArray[np.float32],
    base_log_sum: NDArray[np.float64],
) -> _Rows:
    """Compare logits with logits, both of shape (rows, n_vocab).

    KL = Σ p_b (l_b - l) + ln Z - ln Z_b. The two sides nearly cancel for close
    models: float32 exponentials would leave an error of 1e-8 nats.
    """
    log_sum = log_sums(block)
    kld = np.empty(len(block))
    shape = (min(ROWS, len(block)), block.shape[1])
    buffers = np.empty(shape), np.empty(shape)
    for start in range(0, len(block), ROWS):
        part = slice(start, min(start + ROWS, len(block)))
        p, loss = (buffer[: part.stop - start] for buffer in buffers)
        np.subtract(base[part], base_log_sum[part, None], out=p)
        np.exp(p, out=p)
        with np.errstate(invalid="ignore"):  # both may rule a token out
            np.subtract(base[part], block[part], out=loss)
        np.minimum(loss, LARGEST, out=loss)
        loss[p == 0] = 0
        p *= loss
        kld[part] = p.sum(axis=1) + (log_sum[part] - base_log_sum[part])
    nll = log_sum - block[np.arange(len(block)), targets]
    return _Rows(nll, kld, block.argmax(axis=1).astype(np.int32))


def _divergence(found: _Rows, base: ExactChunk, n_bytes: int) -> ChunkDivergence:
    same = found.top == base.top
    return ChunkDivergence(
        nll=found.nll,
        nll_base=base.nll,
        nll_base_exact=base.nll,
        kld=found.kld,
        dp=np.exp(-found.nll) - np.exp(-base.nll),
        same_top=same,
        same_top_record=same,
        n_bytes=n_bytes,
    )
