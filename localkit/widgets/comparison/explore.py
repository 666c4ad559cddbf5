"""Looking into a comparison that was made before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.widgets.comparison.view import ComparisonView

if TYPE_CHECKING:
    from localkit.evals.comparing.comparison import Comparison


def explore(comparison: Comparison) -> ComparisonView:
    """Return a comparison to look into: its tables, every answer, its plots.

    A notebook shows it; without a front end it is the static report.
    """
    return ComparisonView(comparison)
