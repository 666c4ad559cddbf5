"""The score of one model in one task, from what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.running.scoring import groups_of, scored_of
from localkit.evals.runs.listing import names_of, results_of
from localkit.evals.runs.record import PartSummary
from localkit.evals.runs.results import NOT_ASKED
from localkit.evals.statistics.paired import summarize_scored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.evals.running.result import SampleResult
    from localkit.evals.runs.database import Runs
    from localkit.evals.runs.listing import Part


def summary_of(runs: Runs, part: Part) -> PartSummary:
    """Return the score of a part: the one kept when it ended, else of what is there.

    Raises:
        ResultsInvalid: an answer is damaged.
    """
    if part.summary is not None and not part.summary.n_missing:
        return part.summary
    names = names_of(runs, part)
    missing: set[str] = set()

    def counted() -> Iterator[SampleResult]:
        for result in results_of(runs, part, names):
            if result.unscored == NOT_ASKED:
                missing.add(result.id)
            yield result

    scored = list(
        scored_of(part.task, counted(), groups=groups_of(names), text=lambda _: "")
    )
    return PartSummary.of(summarize_scored(scored), len(missing))
