"""The report's figures, as PNG bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.report.plot_kld import kld_vs_decode, kld_vs_size
from localkit.evals.report.plot_memory import memory, memory_by_context
from localkit.evals.report.plot_speed import decode_vs_size
from localkit.evals.report.plot_style import Plot
from localkit.evals.report.plot_tasks import tasks
from localkit.evals.report.plot_texts import dp_ribbon, kld_by_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.budget import Budget
    from localkit.evals.comparing.row import Row

__all__ = ["Plot", "draw"]


def draw(
    rows: Sequence[Row],
    *,
    pick: str | None,
    budget: Budget,
    max_kld: float,
    task: str = "",
    bandwidth_per_s: float | None = None,
) -> tuple[Plot, ...]:
    """Draw every figure whose data was measured.

    ``bandwidth_per_s`` is the memory's, in bytes: it adds the roofline. ``task`` is
    not read: rows name their tasks.
    """
    del task
    plots = (
        kld_vs_size(rows, pick, max_kld),
        kld_vs_decode(rows, pick, max_kld),
        decode_vs_size(rows, pick, bandwidth_per_s),
        dp_ribbon(rows, pick),
        kld_by_text(rows, pick),
        memory(rows, pick, budget),
        memory_by_context(rows, pick, budget),
        tasks(rows, pick),
    )
    return tuple(plot for plot in plots if plot is not None)
