"""The seam between an answer and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localkit.chat.tools import ToolCall
    from localkit.evals.subjects.protocol import Subject
    from localkit.evals.tasks.sample import Sample
    from localkit.events import CancelToken
    from localkit.runtime.values import FinishReason


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to one sample."""

    text: str
    finish_reason: FinishReason = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str = ""
    n_prompt: int = 0
    """Tokens of the prompt."""
    n_generated: int = 0
    ttft_s: float = 0.0
    total_s: float = 0.0
    """Seconds from the question to the end of the answer."""
    notes: tuple[str, ...] = ()
    """What a reader must know: a cut answer, a dropped option."""


class Score(BaseModel):
    """What an answer is worth by one scorer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None
    """1 right, 0 wrong, or between; None: it could not be scored."""
    extracted: str = ""
    """The part of the answer that was judged."""
    why: str = ""
    """Why it has that value, or none; a sentence."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a scorer may use beside sample and answer."""

    open_subject: Callable[[str], Subject]
    """Return a model to judge or embed with, by ref or URL; loaded once, kept."""
    cancel: CancelToken
    allow_code: bool = False
    """Whether code that a model wrote may be run."""


class Scorer(Protocol):
    """Says what an answer is worth. A frozen value: equal ones score alike."""

    @property
    def name(self) -> str:
        """Name of the score in tables."""

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score, as JSON values.

        It is part of the task's digest: another definition is another measurement.
        """

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return the worth of ``answer``; what cannot be scored is a Score of None.

        Raises:
            Cancelled: ``surroundings.cancel`` was raised.
        """
