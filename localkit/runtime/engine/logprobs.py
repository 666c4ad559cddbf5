"""Log-probabilities of single rows of logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from localkit.runtime.values import TokenLogprob

if TYPE_CHECKING:
    from numpy.typing import NDArray


def log_softmax_at(logits: NDArray[np.float32], token: int) -> float:
    """Return the natural log of the probability of ``token``."""
    return float(logits[token]) - _log_sum_exp(logits)


def token_logprob(logits: NDArray[np.float32], token: int, n_top: int) -> TokenLogprob:
    """Return the logprob of ``token`` and of the ``n_top`` likeliest."""
    total = _log_sum_exp(logits)
    n_top = min(n_top, len(logits))
    best = np.argpartition(logits, -n_top)[len(logits) - n_top :] if n_top else ()
    top = sorted(((int(one), float(logits[one]) - total) for one in best), key=_rank)
    return TokenLogprob(float(logits[token]) - total, tuple(top))


def _log_sum_exp(logits: NDArray[np.float32]) -> float:
    highest = logits.max()
    # float64 sums: float32 moves the sixth decimal (measured against the tools).
    return float(highest) + float(
        np.log(np.exp(logits - highest).sum(dtype=np.float64))
    )


def _rank(one: tuple[int, float]) -> tuple[float, int]:
    token, logprob = one
    return -logprob, token
