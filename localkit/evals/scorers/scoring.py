"""What scorers of written answers share: definition, notes, the best of targets."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from localkit.evals.scorers.protocol import Answer, Score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from localkit.evals.tasks.sample import Sample

CUT = "the answer was cut at its token limit"
MAX_EXTRACT = 2000


def definition_of(scorer: Any, type_name: str, **more: object) -> Mapping[str, Any]:
    """Return type and options of a scorer; ``more`` names versions of libraries."""
    return {"type": type_name, **asdict(scorer), **more}


def scored(answer: Answer, value: float, extracted: str = "", why: str = "") -> Score:
    """Return a score that says whether the answer it judges was cut."""
    if answer.finish_reason == "length":
        why = f"{why}; {CUT}" if why else CUT
    return Score(value=value, extracted=extracted[:MAX_EXTRACT], why=why)


def unscored(why: str) -> Score:
    """Return the score of what cannot be scored."""
    return Score(value=None, why=why)


def no_target(sample: Sample) -> Score | None:
    """Return why a sample without a right answer is unscored; None if it has one."""
    if any(target.strip() for target in sample.target):
        return None
    return unscored("the sample has no target")


def best(targets: Iterable[str], worth: Callable[[str], float]) -> float:
    """Return the highest worth over the answers that will do."""
    return max((worth(target) for target in targets), default=0.0)
