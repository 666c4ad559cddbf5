"""The report's figures, as PNG bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.report.plot_bars import accuracy, memory
from localkit.evals.report.plot_kld import kld_vs_decode, kld_vs_size
from localkit.evals.report.plot_style import Plot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.budget import Budget
    from localkit.evals.comparing.row import Row

__all__ = ["Plot", "draw"]


def draw(
    rows: Sequence[Row], *, pick: str | None, budget: Budget, max_kld: float, task: str
) -> tuple[Plot, ...]:
    """Draw every figure whose data was measured."""
    plots = (
        kld_vs_size(rows, pick, max_kld),
        kld_vs_decode(rows, pick, max_kld),
        memory(rows, pick, budget),
        accuracy(rows, pick, task),
    )
    return tuple(plot for plot in plots if plot is not None)
