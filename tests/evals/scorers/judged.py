"""Ask a scorer about one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.evals.scorers.protocol import Answer, Score, Surroundings
from localkit.evals.tasks.sample import Sample
from localkit.events import CancelToken

if TYPE_CHECKING:
    from localkit.chat.tools import ToolCall
    from localkit.evals.scorers.protocol import Scorer
    from localkit.evals.subjects.protocol import Subject
    from localkit.runtime.values import FinishReason


def no_subject(name: str) -> Subject:
    raise AssertionError(name)


SURROUNDINGS = Surroundings(open_subject=no_subject, cancel=CancelToken())


def judged(
    scorer: Scorer,
    said: str,
    *targets: str,
    fields: dict[str, Any] | None = None,
    choices: tuple[str, ...] = (),
    gold: int = -1,
    calls: tuple[ToolCall, ...] = (),
    finish_reason: FinishReason = "stop",
) -> Score:
    sample = Sample("s", "?", choices, gold, targets, fields or {})
    answer = Answer(said, finish_reason, calls)
    return scorer.score(sample, answer, SURROUNDINGS)


def worth(scorer: Scorer, said: str, *targets: str, **more: Any) -> float | None:
    return judged(scorer, said, *targets, **more).value
