"""What a comparison of saved and fresh outputs found, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Standing = Literal["same", "within", "changed", "noted"]
"""``same``: equal; ``within``: other, but inside the bands; ``changed``: a failure;
``noted``: not judged, but a reader should know."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How much may differ where the same result cannot be expected."""

    k: float = 3.0
    """Standard errors that a score may move."""
    similarity: float = 0.4
    """Least chrF of two texts, 0 to 1."""
    perplexity_ratio: float = 1.02
    """Most that a perplexity may grow or shrink."""
    flips_p: float = 0.01
    """McNemar's p below which the items that changed sides are a change."""
    allow_change: bool = False
    """Other weights, template or adapters are judged by the bands alone."""
    perf: float | None = None
    """Least speed, and most memory turned over, against the saved; None: any."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    standing: Standing
    words: str
    before: str | None = None
    """Text as saved, where two texts differ."""
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one cell came out."""

    cell: int
    """Its number in a run from top to bottom: ``In[3]`` is 3."""
    source: str
    findings: tuple[Finding, ...] = ()
    skipped: str = ""
    """Why it could not be compared; empty where it was."""
    subjects: int = 0
    """Answers, comparisons and evaluations that were compared."""
    speeds: tuple[Finding, ...] = field(default=())
    """What was measured of time and memory; a failure only where that was asked."""

    @property
    def standing(self) -> Standing:
        """The worst of the findings."""
        found = {one.standing for one in (*self.findings, *self.speeds)}
        for standing in ("changed", "within", "same"):
            if standing in found:
                return standing
        return "noted"

    @property
    def failures(self) -> list[Finding]:
        """What fails the cell."""
        every = (*self.findings, *self.speeds)
        return [one for one in every if one.standing == "changed"]

    @property
    def title(self) -> str:
        """The cell's number and its first line."""
        return f"In[{self.cell}] {self.source.strip().partition(chr(10))[0]}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values: what a test worker sends to its main process."""
        return {
            "cell": self.cell,
            "title": self.title,
            "standing": self.standing,
            "skipped": self.skipped,
            "subjects": self.subjects,
            "findings": [
                [one.standing, one.words, one.before, one.after]
                for one in (*self.findings, *self.speeds)
            ],
        }
