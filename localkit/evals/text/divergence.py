"""Perplexity and KL divergence against a reference, chunk by chunk.

What each figure means, and where it differs from llama-perplexity's on
purpose, is in `design/011-perplexity-definitions.md`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from localkit.errors import NotComparable
from localkit.evals.statistics.estimates import Estimate, cluster_mean, exp, proportion
from localkit.evals.statistics.positive import positive_cluster_mean
from localkit.evals.text.llama_perplexity import (
    Printed,
    llama_perplexity_lines,
    print_statistics,
)
from localkit.evals.text.log_probs import (
    ComparedRows,
    EncodedRows,
    ExactRows,
    compare_rows,
    encode_rows,
    record_width,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from localkit.evals.text.chunks import Chunks
    from localkit.events import CancelToken
    from localkit.runtime.protocol import Session

__all__ = [
    "ChunkDivergence",
    "DivergenceSummary",
    "RecordedChunk",
    "bits_per_byte",
    "compare_chunk",
    "llama_perplexity_lines",
    "perplexity",
    "recorded_chunk",
    "reference_chunk",
    "scored_logits",
    "summarize",
]

Scored = tuple[slice, "NDArray[np.float32]", "NDArray[np.int32]"]


class ChunkDivergence(NamedTuple):
    """One chunk of a candidate against the reference; arrays of (n_scored,)."""

    nll: NDArray[np.floating]
    """-ln p(target) of the candidate."""
    nll_base: NDArray[np.floating]
    """The reference's, from its 16-bit record where there is one."""
    nll_base_exact: NDArray[np.float64]
    """The reference's, exact; NaN where only the record is there."""
    kld: NDArray[np.float64]
    """Σ p_base (ln p_base - ln p) in nats: by the record over tokens with
    ln p_base > -16, without one over all."""
    dp: NDArray[np.floating]
    """p(target) minus the reference's, from the same."""
    same_top: NDArray[np.bool_]
    """Whether candidate and reference hold the same token most likely."""
    same_top_record: NDArray[np.bool_]
    """The same by the record, where rounding may tie two tokens; without a record
    the same."""
    n_bytes: int
    """UTF-8 bytes of the scored tokens."""


class RecordedChunk(NamedTuple):
    """One chunk of the reference."""

    rows: EncodedRows
    """What goes to the base file."""
    floor: ChunkDivergence
    """The reference against its own record: the error of storing 16 bits."""


@dataclass(frozen=True, slots=True)
class DivergenceSummary:
    """A candidate's loss over some chunks, with errors clustered by chunk."""

    n_chunks: int
    n_tokens: int
    """Scored tokens."""
    perplexity: Estimate
    """exp(mean nll); the interval is that of the mean nll, mapped."""
    perplexity_base: Estimate
    """The reference's on the same tokens."""
    bits_per_byte: float
    """Comparable across tokenizers: total nll / (ln 2 · UTF-8 bytes)."""
    ln_ppl_ratio: Estimate
    """ln(perplexity / reference's), paired by token, from the exact reference."""
    base_is_exact: bool
    """False: the reference's nll came from its 16-bit records."""
    kld: Estimate
    """Mean KL divergence, nats per token."""
    kld_median: float
    kld_p90: float
    kld_p99: float
    kld_p999: float
    kld_max: float
    dp: Estimate
    """Mean change of p(target), as a fraction."""
    rms_dp: Estimate
    """Root mean square of the same."""
    dp_percentiles: tuple[tuple[float, float], ...]
    """(percentage of tokens, Δp at most), rising from the minimum at 0 over the
    median at 50 to the maximum at 100."""
    same_top: Estimate
    """Share of tokens with the same most likely token."""
    printed: Printed
    """What llama-perplexity prints for the same chunks, with its i.i.d. errors; its
    digits only where the reference was a record."""


def reference_chunk(
    session: Session,
    chunks: Chunks,
    index: int,
    *,
    cancel: CancelToken | None = None,
) -> EncodedRows:
    """Compute the reference's part of one chunk: exact figures and records.

    Raises:
        ContextTooLong: the session's context is shorter than a chunk.
        Cancelled: ``cancel`` was raised.
    """
    return recorded_chunk(session, chunks, index, cancel=cancel).rows


def recorded_chunk(
    session: Session,
    chunks: Chunks,
    index: int,
    *,
    cancel: CancelToken | None = None,
) -> RecordedChunk:
    """Compute the reference's part of one chunk, and its own loss by its record.

    The chunk is decoded once; the loss is what `compare_chunk` would find.

    Raises:
        ContextTooLong: the session's context is shorter than a chunk.
        Cancelled: ``cancel`` was raised.
    """
    n_rows = chunks.n_rows(index)
    whole = EncodedRows(
        exact=ExactRows(np.empty(n_rows), np.empty(n_rows, np.int32)),
        record=np.empty((n_rows, record_width(session.n_vocab)), np.uint16),
    )
    parts = []
    for rows, block, targets in scored_logits(session, chunks, index, cancel):
        part = encode_rows(block, targets)
        whole.exact.nll[rows] = part.exact.nll
        whole.exact.top[rows] = part.exact.top
        whole.record[rows] = part.record
        parts.append(compare_rows(block, targets, part.record))
    return RecordedChunk(whole, _divergence(parts, whole.exact, chunks, index))


def compare_chunk(
    session: Session,
    chunks: Chunks,
    index: int,
    base_record: NDArray[np.uint16],
    base_exact: ExactRows | None = None,
    *,
    cancel: CancelToken | None = None,
) -> ChunkDivergence:
    """Compare one chunk of a candidate with the reference's part of it.

    Raises:
        NotComparable: the record belongs to another vocabulary or chunk length.
        ContextTooLong: the session's context is shorter than a chunk.
        Cancelled: ``cancel`` was raised.
    """
    shape = (chunks.n_rows(index), record_width(session.n_vocab))
    if base_record.shape != shape:
        msg = f"the reference's record is {base_record.shape}, this model's {shape}"
        raise NotComparable(msg, hint="compare quants of one model on one text")
    parts = [
        compare_rows(block, targets, base_record[rows])
        for rows, block, targets in scored_logits(session, chunks, index, cancel)
    ]
    return _divergence(parts, base_exact, chunks, index)


def _divergence(
    parts: Sequence[ComparedRows],
    base_exact: ExactRows | None,
    chunks: Chunks,
    index: int,
) -> ChunkDivergence:
    rows = ComparedRows(
        *(np.concatenate(columns) for columns in zip(*parts, strict=True))
    )
    if base_exact is None:
        base_exact = ExactRows(np.full(rows.nll.size, math.nan), rows.top_base)
    return ChunkDivergence(
        nll=rows.nll,
        nll_base=rows.nll_base,
        nll_base_exact=base_exact.nll,
        kld=rows.kld,
        dp=rows.dp,
        same_top=rows.top == base_exact.top,
        same_top_record=rows.top == rows.top_base,
        n_bytes=chunks.n_bytes_scored[index],
    )


def summarize(chunks: Sequence[ChunkDivergence]) -> DivergenceSummary:
    """Join chunks to one summary.

    Raises:
        NotComparable: there is no chunk.
    """
    if not chunks:
        msg = "no chunk was compared"
        raise NotComparable(msg, hint="compare at least one chunk")
    clusters = np.repeat(np.arange(len(chunks)), [chunk.nll.size for chunk in chunks])
    nll = _joined([chunk.nll for chunk in chunks])
    exact = _joined([chunk.nll_base_exact for chunk in chunks])
    base_is_exact = not np.isnan(exact).any()
    base = exact if base_is_exact else _joined([chunk.nll_base for chunk in chunks])
    kld = _joined([chunk.kld for chunk in chunks])
    dp = _joined([chunk.dp for chunk in chunks])
    same_top = _joined([chunk.same_top for chunk in chunks])
    printed = print_statistics(chunks)
    return DivergenceSummary(
        n_chunks=len(chunks),
        n_tokens=nll.size,
        perplexity=_perplexity(nll, clusters),
        perplexity_base=_perplexity(base, clusters),
        bits_per_byte=bits_per_byte(nll, sum(int(chunk.n_bytes) for chunk in chunks)),
        ln_ppl_ratio=cluster_mean(nll - base, clusters),
        base_is_exact=base_is_exact,
        kld=positive_cluster_mean(kld, clusters),
        kld_median=printed.kld_median,
        kld_p90=printed.kld_percentiles["90.0%"],
        kld_p99=printed.kld_percentiles["99.0%"],
        kld_p999=printed.kld_percentiles["99.9%"],
        kld_max=printed.kld_max,
        dp=cluster_mean(dp, clusters),
        rms_dp=_root(cluster_mean(np.square(dp), clusters)),
        dp_percentiles=_dp_percentiles(printed),
        same_top=_share(same_top, clusters),
        printed=printed,
    )


def _dp_percentiles(printed: Printed) -> tuple[tuple[float, float], ...]:
    """Return llama-perplexity's percentiles of Δp by rising percentage."""
    inner = [
        (float(name.removesuffix("%")), value)
        for name, value in printed.dp_percentiles.items()
    ]
    ends = [(0.0, printed.dp_min), (50.0, printed.dp_median), (100.0, printed.dp_max)]
    return tuple(sorted(inner + ends))


def perplexity(nlls: Sequence[NDArray[np.floating]]) -> Estimate:
    """Estimate the perplexity of chunks from their targets' -ln p, one array each."""
    clusters = np.repeat(np.arange(len(nlls)), [nll.size for nll in nlls])
    return _perplexity(_joined(nlls), clusters)


def bits_per_byte(nll: NDArray[np.floating], n_bytes: int) -> float:
    """Return the bits that one byte of the scored text costs; NaN without text."""
    if not n_bytes:
        return math.nan
    return float(nll.sum(dtype=np.float64)) / (math.log(2) * n_bytes)


def scored_logits(
    session: Session, chunks: Chunks, index: int, cancel: CancelToken | None
) -> Iterator[Scored]:
    """Yield blocks of a chunk's scored logits, with their rows and targets.

    Logits behind the last target predict what is not scored, and are left out.
    """
    done = 0
    for stretch in chunks.stretches(index):
        start, n_targets = 0, len(stretch.targets)
        for block in session.logits(stretch.inputs, first=stretch.first, cancel=cancel):
            stop = min(start + len(block), n_targets)
            if stop > start:
                rows = slice(done + start, done + stop)
                yield rows, block[: stop - start], stretch.targets[start:stop]
            start = stop
        done += n_targets


def _joined(arrays: Sequence[NDArray[np.generic]]) -> NDArray[np.float64]:
    return np.concatenate(arrays).astype(np.float64)


def _perplexity(nll: NDArray[np.float64], clusters: NDArray[np.intp]) -> Estimate:
    mean_nll = cluster_mean(nll, clusters)
    return mean_nll.mapped(exp, exp(mean_nll.value))


def _root(mean_square: Estimate) -> Estimate:
    """Return the square root of a mean square, by the delta method."""
    value = math.sqrt(mean_square.value)
    return mean_square.mapped(
        lambda square: math.sqrt(max(square, 0.0)),
        0.5 / value if value else 0.0,
    )


def _share(matches: NDArray[np.float64], clusters: NDArray[np.intp]) -> Estimate:
    """Estimate a share, its interval inside 0 to 1.

    Where every token agrees, chunks have no spread to learn from: the interval
    is then Wilson's over tokens.
    """
    estimate = cluster_mean(matches, clusters)
    if estimate.se == 0:
        return proportion(int(matches.sum()), matches.size)
    return estimate.mapped(lambda share: min(max(share, 0.0), 1.0), 1.0)
