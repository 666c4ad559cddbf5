"""The arithmetic of perplexity and KL divergence on a block of logits.

Float32 exponentials and float64 sums, in llama-perplexity's order of
operations, so that the digits it prints come out the same. The exponentials are
computed in float64 and then rounded, as a C library's ``expf`` does; numpy's
float32 ``exp`` errs by up to 2.5 units in the last place (measured: enough to
move the sixth decimal of a perplexity of 78). Source: llama.cpp,
tools/perplexity/perplexity.cpp, the ``log_softmax`` and ``process_logits``
overloads.

A record is one position's log-probabilities in 16 bits, as in llama-perplexity's
base file: float32 scale, float32 lowest log-probability, then one uint16 a token
(padded to an even count), ``log p = scale * u + lowest``. What lies more than 16
nats below the most likely token is stored as the lowest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD = 4
"""uint16 words of a record before its tokens: two float32."""
FLOOR = np.float32(-16)
"""Log-probability of the base below which a token does not count."""
LARGEST = np.finfo(np.float32).max
ROWS = 4
"""Rows worked on at once, so that the buffers stay in the cache (measured for one
chunk of 255 × 49k: 4 rows 34 + 60 ms, all at once 103 + 269 ms)."""


class ExactRows(NamedTuple):
    """What a record would round."""

    nll: NDArray[np.float64]
    """-ln p of the target, shape (rows,)."""
    top: NDArray[np.int32]
    """Most likely token, shape (rows,)."""


class EncodedRows(NamedTuple):
    """What the reference says about some positions."""

    exact: ExactRows
    record: NDArray[np.uint16]
    """Shape (rows, record_width)."""


class ComparedRows(NamedTuple):
    """How a candidate differs from a reference at some positions, each (rows,)."""

    nll: NDArray[np.float32]
    nll_base: NDArray[np.float32]
    """From the record."""
    kld: NDArray[np.float64]
    dp: NDArray[np.float32]
    """p(target) minus the base's."""
    top: NDArray[np.int32]
    """Most likely token of the candidate."""
    top_base: NDArray[np.int32]
    """Most likely token of the base, from the record; the first of equals."""


def record_width(n_vocab: int) -> int:
    """Return the uint16 words of one record."""
    return HEAD + 2 * ((n_vocab + 1) // 2)


def encode_rows(logits: NDArray[np.float32], targets: NDArray[np.int32]) -> EncodedRows:
    """Compress logits of shape (rows, n_vocab) to records, and score the targets."""
    rows, n_vocab = logits.shape
    nll = np.empty(rows, np.float64)
    top = np.empty(rows, np.int32)
    record = np.zeros((rows, record_width(n_vocab)), np.uint16)
    buffer = np.empty((min(ROWS, rows), n_vocab), np.float32)
    for start in range(0, rows, ROWS):
        part = slice(start, min(start + ROWS, rows))
        block = logits[part]
        work = buffer[: len(block)]
        top[part] = block.argmax(axis=1)
        highest = block.max(axis=1)
        log_sum = log_sum_exp(block, highest, work)
        picked = block[np.arange(len(block)), targets[part]]
        nll[part] = log_sum - (picked - highest)
        _fill_records(record[part], block, highest, log_sum, work)
    return EncodedRows(ExactRows(nll, top), record)


def compare_rows(
    logits: NDArray[np.float32],
    targets: NDArray[np.int32],
    record: NDArray[np.uint16],
) -> ComparedRows:
    """Compare logits of shape (rows, n_vocab) with the base's records."""
    rows, n_vocab = logits.shape
    result = ComparedRows(
        nll=np.empty(rows, np.float32),
        nll_base=np.empty(rows, np.float32),
        kld=np.empty(rows, np.float64),
        dp=np.empty(rows, np.float32),
        top=np.empty(rows, np.int32),
        top_base=np.empty(rows, np.int32),
    )
    shape = (min(ROWS, rows), n_vocab)
    buffers = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for start in range(0, rows, ROWS):
        part = slice(start, min(start + ROWS, rows))
        block, words = logits[part], record[part]
        work, base = (buffer[: len(block)] for buffer in buffers)
        each = np.arange(len(block))
        picked = targets[part]

        highest = block.max(axis=1)
        log_sum = log_sum_exp(block, highest, work).astype(np.float32)
        normalizer = highest + log_sum
        nll = normalizer - block[each, picked]

        scale, lowest = _heads(words)
        np.multiply(words[:, HEAD : HEAD + n_vocab], scale[:, None], out=base)
        base += lowest[:, None]
        nll_base = -base[each, picked]

        result.top[part] = block.argmax(axis=1)
        result.top_base[part] = base.argmax(axis=1)
        result.nll[part] = nll
        result.nll_base[part] = nll_base
        result.dp[part] = _probability(nll) - _probability(nll_base)
        result.kld[part] = _divergence(base, block, normalizer, work)
    return result


def target_nll(
    logits: NDArray[np.float32], targets: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Return -ln p of the targets alone, shape (rows,): a plain perplexity."""
    nll = np.empty(len(logits))
    work = np.empty((min(ROWS, len(logits)), logits.shape[1]), np.float32)
    for start in range(0, len(logits), ROWS):
        block = logits[start : start + ROWS]
        highest = block.max(axis=1)
        picked = block[np.arange(len(block)), targets[start : start + ROWS]]
        log_sum = log_sum_exp(block, highest, work[: len(block)])
        nll[start : start + ROWS] = log_sum - (picked - highest)
    return nll


def log_sum_exp(
    block: NDArray[np.float32],
    highest: NDArray[np.float32],
    work: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return ln Σ exp(l - max) of each row, summed in float64."""
    np.subtract(block, highest[:, None], out=work)
    work[...] = np.exp(work, dtype=np.float64)
    return np.asarray(np.log(work.sum(axis=1, dtype=np.float64)))


def _probability(nll: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return exp(-nll)."""
    return np.exp(-nll, dtype=np.float64).astype(np.float32)


def _fill_records(
    record: NDArray[np.uint16],
    block: NDArray[np.float32],
    highest: NDArray[np.float32],
    log_sum: NDArray[np.float64],
    work: NDArray[np.float32],
) -> None:
    """Write each row's scale, lowest log-probability and 16-bit steps."""
    n_vocab = block.shape[1]
    floor = np.maximum(block.min(axis=1), highest + FLOOR)
    scale = (highest - floor) / np.float32(65535)
    heads = np.stack((scale, floor - highest - log_sum.astype(np.float32)), axis=1)
    record[:, :HEAD] = heads.astype("<f4").view("<u2")
    # A row of equal logits has no scale: all its steps are 0.
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    np.subtract(block, floor[:, None], out=work)
    work *= inverse[:, None]
    np.maximum(work, 0, out=work)
    np.rint(work, out=work)
    record[:, HEAD : HEAD + n_vocab] = work


def _heads(
    record: NDArray[np.uint16],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return each record's scale and lowest log-probability."""
    heads = np.ascontiguousarray(record[:, :HEAD], "<u2").view("<f4")
    return heads[:, 0], heads[:, 1]


def _divergence(
    base: NDArray[np.float32],
    block: NDArray[np.float32],
    normalizer: NDArray[np.float32],
    work: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return Σ p_base (ln p_base - ln p) over tokens with ln p_base > -16.

    Overwrites ``base``.
    """
    np.subtract(base, block, out=work)
    work += normalizer[:, None]
    np.minimum(work, LARGEST, out=work)  # a logit of -inf would give 0 · inf
    counts = base > FLOOR
    base[...] = np.exp(base, dtype=np.float64)
    base *= counts
    base *= work
    return np.asarray(base.sum(axis=1, dtype=np.float64))
