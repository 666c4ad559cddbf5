"""What was weighed: each offer with what it needs, and which was chosen and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["fits", "tight", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Weighed:
    """One offer on the scales."""

    label: str
    size: int
    """Bytes of its files."""
    bits: int
    """Bits that the quant is named after; 0 when unknown."""
    bits_per_weight: float | None
    """Counted, where the header is known."""
    needed: int | None
    """Bytes that a load takes, an estimate; None where the header is not known."""
    available: int | None
    """Bytes free where they are needed: on the GPU if there is one."""
    verdict: Verdict
    """``tight``: only with a shorter context than asked, or partly on the GPU."""
    n_ctx: int | None
    """Context length in tokens that a load would have; None when it has none."""
    n_ctx_that_fits: int | None
    """Longest context length that memory holds, at most the training context."""
    why: str
    """The verdict in words."""

    @property
    def fits(self) -> bool:
        """Whether it can be loaded as asked."""
        return self.verdict == "fits"


@dataclass(frozen=True, slots=True)
class Weighing:
    """Every offer, and the choice."""

    what: str
    """What was to be chosen from: ``hf.co/org/repo``."""
    rows: tuple[Weighed, ...]
    """The largest first."""
    n_ctx: int | None
    """Context length that was asked for; None: the default of a load."""
    chosen: str | None = None
    """Label of the offer that was taken; None when none was."""
    why: str = ""
    """The rule that decided, in one sentence."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""

    def row(self, label: str) -> Weighed:
        """Return the row of an offer.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if row.label == label:
                return row
        raise KeyError(label)
