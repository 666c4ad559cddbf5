"""What one row of logits says about the token that came, and about another row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RowFigures(NamedTuple):
    """One position's distribution, and where a token stands in it."""

    logprob: float
    """Natural log of the token's probability."""
    rank: int
    """1 for the most likely token; tokens of equal probability share the better."""
    entropy: float
    """-Σ p ln p over the whole vocabulary, nats."""
    top: tuple[tuple[int, float], ...]
    """(token, logprob) of the likeliest tokens, likeliest first."""


def log_probs(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the natural log of each token's probability, shape (n_vocab,)."""
    row = logits.astype(np.float64)
    row -= row.max()
    row -= np.log(np.exp(row).sum())
    return row


def row_figures(row: NDArray[np.float64], token: int, n_top: int) -> RowFigures:
    """Look up ``token`` in log-probabilities of shape (n_vocab,)."""
    n_top = min(n_top, row.size)
    best = np.argpartition(row, -n_top)[row.size - n_top :] if n_top else ()
    top = sorted(((int(one), float(row[one])) for one in best), key=_likeliest)
    return RowFigures(
        logprob=float(row[token]),
        rank=1 + int((row > row[token]).sum()),
        entropy=entropy(row),
        top=tuple(top),
    )


def entropy(row: NDArray[np.float64]) -> float:
    """Return -Σ p ln p in nats; a token that is ruled out adds nothing."""
    return -_mean(np.exp(row), row)


def divergence(row: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return KL(p‖q) = Σ p (ln p - ln q) in nats, over the whole vocabulary.

    Infinite where ``other`` rules out what ``row`` does not.
    """
    with np.errstate(invalid="ignore"):  # both may rule a token out
        return _mean(np.exp(row), row - other)


def _mean(p: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return Σ p · value over what has any probability."""
    held = p > 0
    if held.all():  # almost always; no BLAS, whose threads are slow on a busy machine
        return float((p * values).sum())
    return float((p[held] * values[held]).sum())


def _likeliest(one: tuple[int, float]) -> tuple[float, int]:
    token, logprob = one
    return -logprob, token
