"""A sample's worth, whatever task and scorer it came from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scored:
    """What one model got for one sample: all that statistics need to know."""

    id: str
    value: float
    """1 right, 0 wrong, or between; NaN: unscored."""
    answer: str = ""
    """What it answered, for a reader."""
    why: str = ""
    """Why it is unscored, or what the scorer said."""
    group: str = ""
    """Samples of one group are not independent; empty: each stands alone."""
