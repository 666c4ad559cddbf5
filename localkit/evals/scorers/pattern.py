"""What a regular expression finds in the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import regex

from localkit.errors import DatasetInvalid
from localkit.evals.scorers.normalising import normalise
from localkit.evals.scorers.scoring import definition_of, scored, unscored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample


@dataclass(frozen=True, slots=True)
class Regex:
    """1 when the pattern matches, and its group equals a target where there is one.

    lm-evaluation-harness's `regex` filter followed by `exact_match`: ``group`` of
    the first or last match (``group_select``), with spaces at the ends removed.
    A pattern that backtracks without end is stopped by its timeout.
    """

    pattern: str
    name: str = "regex"
    group: int | str | None = None
    """Number or name; None: the first group if there is one, else the match."""
    select: Literal["first", "last"] = "first"
    """Which match counts."""
    ignore_case: bool = False
    """In pattern and comparison."""
    timeout_s: float = 1.0
    """Seconds of one search; beyond it the answer is unscored."""

    def __post_init__(self) -> None:
        """Refuse a pattern or group that does not exist."""
        try:
            compiled = self._compiled()
        except regex.error as error:
            msg = f"the pattern {self.pattern[:80]!r} is invalid: {error}"
            hint = "see the syntax of Python's regex package"
            raise DatasetInvalid(msg, hint=hint) from error
        groups = {None, *range(compiled.groups + 1), *compiled.groupindex}
        if self.group not in groups:
            msg = f"the pattern {self.pattern[:80]!r} has no group {self.group!r}"
            raise DatasetInvalid(msg, hint="0 is the whole match")
        if not 0 < self.timeout_s <= 60:
            msg = f"timeout_s is {self.timeout_s}"
            raise DatasetInvalid(msg, hint="give more than 0 and at most 60 seconds")

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "regex")

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return 1 or 0; unscored when the pattern takes too long."""
        del surroundings
        compiled = self._compiled()
        group = self.group if self.group is not None else min(compiled.groups, 1)
        found: str | None = None
        try:
            for match in compiled.finditer(answer.text, timeout=self.timeout_s):
                found = match[group] or ""
                if self.select == "first":
                    break
        except TimeoutError:
            return unscored(f"the pattern took longer than {self.timeout_s:g} s")
        if found is None:
            return scored(answer, 0.0, why="the pattern does not match")
        if not sample.target:
            return scored(answer, 1.0, found)
        said = normalise(found, ignore_case=self.ignore_case)
        targets = (normalise(t, ignore_case=self.ignore_case) for t in sample.target)
        return scored(answer, float(said in targets), found)

    def _compiled(self) -> regex.Pattern[str]:
        flags = regex.IGNORECASE if self.ignore_case else 0
        return regex.compile(self.pattern, flags)
