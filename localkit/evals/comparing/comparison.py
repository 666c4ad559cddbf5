"""The result of a comparison: what was measured, on what, and which to run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.evals.comparing.record import plain
from localkit.evals.report import plots, report, table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from localkit.evals.comparing.budget import Budget
    from localkit.evals.comparing.row import KldStep, Row
    from localkit.evals.comparing.samples import Samples
    from localkit.evals.comparing.verdict import Verdict
    from localkit.evals.report.evidence import Flip, Passage
    from localkit.evals.report.report import ReportFiles

RECORD_VERSION = 1
"""Counts changes of the record that `Comparison.as_dict` returns."""


class Corpus(NamedTuple):
    """The text that perplexity and KL divergence were measured on."""

    name: str
    digest: str
    n_ctx: int
    """Tokens of one chunk."""
    n_chunks: int
    n_tokens: int
    """Scored tokens."""


class TaskUsed(NamedTuple):
    """The task that accuracy was measured on."""

    name: str
    digest: str
    n_items: int
    """Items asked."""
    norm: str
    """How log-likelihoods of unequal length are compared."""
    source: str
    licence: str


@dataclass(frozen=True, slots=True)
class Setup:
    """What a comparison held fixed."""

    model: str
    """Name of the family."""
    reference: str
    """Label of the reference."""
    effort: str
    corpora: tuple[Corpus, ...]
    tasks: tuple[TaskUsed, ...]
    n_prompt: int
    """Tokens of one timed prefill."""
    n_gen: int
    """Tokens of one timed decode."""
    reps: int
    interleaved: bool
    """Whether all candidates were resident and timed in turn."""
    budget: Budget
    max_kld: float
    """Tolerance: mean KL divergence, nats per token."""
    fingerprint: Mapping[str, str | int]
    """Runtime of the reference's speed measurement."""
    comparability: str
    """Results with the same key measure the same thing."""
    measured: str
    """When the newest figure was measured, ISO 8601 in UTC."""
    command: str
    """Runs the comparison again."""
    version: str
    """Of localkit."""
    remarks: tuple[str, ...] = ()
    """What a reader has to know about the whole comparison."""

    @property
    def corpus(self) -> Corpus | None:
        """The first text; None when no text was scored."""
        return self.corpora[0] if self.corpora else None

    @property
    def task(self) -> TaskUsed | None:
        """The first task; None when none was asked."""
        return self.tasks[0] if self.tasks else None


# Without slots: `cached_property` needs the instance's dictionary.
@dataclass(frozen=True)
class Comparison:
    """Candidates measured alike, the verdict, and the evidence for it."""

    setup: Setup
    rows: tuple[Row, ...]
    """The reference first, then by bits per weight, most first."""
    decision: Verdict
    steps: tuple[KldStep, ...]
    passages: tuple[Passage, ...]
    flips: tuple[Flip, ...]
    samples: Samples | None = field(default=None, compare=False, repr=False)
    """The answers behind it; None: nothing was asked. No part of the record."""

    @property
    def reference(self) -> Row:
        """The candidate that the others are compared with."""
        return next(row for row in self.rows if row.is_reference)

    @property
    def verdict(self) -> str:
        """Which candidate to run and why, in words."""
        return self.decision.text

    @property
    def pick(self) -> str | None:
        """Label of the candidate to run; None when none qualifies."""
        return self.decision.pick

    @cached_property
    def plots(self) -> tuple[plots.Plot, ...]:
        """The figures, drawn once."""
        return plots.draw(
            self.rows,
            pick=self.pick,
            budget=self.setup.budget,
            max_kld=self.setup.max_kld,
            task=self.setup.task.name if self.setup.task else "",
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per candidate; units stand in the column names."""
        return table.to_frame(self.rows)

    def save(self, folder: Path | str) -> ReportFiles:
        """Write the report, its plots and the record into ``folder``.

        Raises:
            DiskFull: there is no room for them; files of an earlier save stay.
        """
        return report.save(self, folder)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the plots as strict JSON values; unscored is None."""
        record = plain(replace(self, samples=None))
        del record["samples"]
        return {"version": RECORD_VERSION, **record}

    def __str__(self) -> str:
        """Return verdict, remarks and table as text."""
        points = (*self.decision.reasons, *self.setup.remarks)
        return "\n\n".join(
            [
                self.decision.headline,
                "\n".join(f"- {point}" for point in points),
                table.plain(self.rows, pick=self.pick),
                self.decision.rule,
            ]
        )

    def __repr__(self) -> str:
        """Return what was compared, the same at every run."""
        others = ", ".join(row.label for row in self.rows if not row.is_reference)
        return (
            f"Comparison of {self.setup.model}: {others or 'nothing'} "
            f"against {self.setup.reference}"
        )

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the report as static HTML; the figures as metadata."""
        del include, exclude
        data = {"text/plain": repr(self), "text/html": report.notebook_html(self)}
        return data, {"localkit": {"comparison": self.as_dict()}}
