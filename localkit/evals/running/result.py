"""SampleResult: what one model did with one sample, as it is stored."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from localkit.evals.scorers.choices import ChoiceScore
from localkit.evals.scorers.protocol import Score


class SampleResult(BaseModel):
    """One row of a run. Its name in the cell is `id`, or ``id#epoch`` from 1 on."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    id: str
    """Of the sample."""
    epoch: int = 0
    gold: int = -1
    """Index of the right choice; -1 where an answer is written."""
    choices: tuple[ChoiceScore, ...] = ()
    """One a choice, where log-likelihoods are compared."""
    answer: str = ""
    """What was written."""
    scores: dict[str, Score] = {}
    """By scorer name."""
    unscored: str | None = None
    """Why there is no score at all: the model failed, the prompt is too long."""
    n_prompt: int = 0
    n_generated: int = 0
    finish_reason: str = ""
    ttft_s: float = 0.0
    total_s: float = 0.0
    notes: tuple[str, ...] = ()
