"""What the epochs of a sample make together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from localkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.tasks.kinds import Reduction


def reduce_epochs(values: Sequence[float], *, reduction: Reduction, k: int) -> float:
    """Return one value for all answers to a sample.

    With n answers of which c passed (value 1; less has not), `pass@k` is the unbiased
    estimate 1 - C(n-c, k) / C(n, k) of Chen et al. 2021 (arXiv 2107.03374), and
    `pass^k` is C(c, k) / C(n, k) of Yao et al. 2024 (tau-bench, arXiv 2406.12045).

    Args:
        values: One an epoch; NaN is unscored and does not count.
        reduction: How they are put together.
        k: Of `pass@k` and `pass^k`.

    Returns:
        A value from 0 to 1; NaN when nothing was scored, or fewer than ``k``.

    Raises:
        UsageError: ``k`` is below 1.
    """
    if k < 1:
        msg = f"k is {k}"
        raise UsageError(msg, hint="ask for at least one answer")
    scored = [value for value in values if not math.isnan(value)]
    if not scored:
        return math.nan
    if reduction == "mean":
        return math.fsum(scored) / len(scored)
    n, right = len(scored), sum(value >= 1.0 for value in scored)
    if n < k:
        return math.nan
    if reduction == "pass@k":
        return 1.0 - math.comb(n - right, k) / math.comb(n, k)
    return math.comb(right, k) / math.comb(n, k)
