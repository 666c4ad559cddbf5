"""One sample put to one subject: what it answered, and what that is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from localkit.errors import (
    ContextTooLong,
    GrammarInvalid,
    LocalkitError,
    RuntimeFailure,
    StoreError,
    TemplateError,
    Unsupported,
)
from localkit.evals.running.result import SampleResult
from localkit.evals.scorers.protocol import Score
from localkit.evals.tasks.prompts import messages_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.chat.tools import ToolLike
    from localkit.evals.comparing.variant import Variant
    from localkit.evals.scorers.protocol import Answer, Scorer, Surroundings
    from localkit.evals.subjects.protocol import Subject
    from localkit.evals.tasks.sample import Sample
    from localkit.evals.tasks.task import Task
    from localkit.runtime.params import SamplingParams

# What is wrong with one sample, and will be each time that it is asked.
_OF_THE_SAMPLE = (ContextTooLong, Unsupported, TemplateError, GrammarInvalid)
_MAX_WHY = 300


@dataclass(frozen=True, slots=True)
class Question:
    """How the samples of a task are put to a candidate."""

    task: Task
    variant: Variant
    surroundings: Surroundings

    def ask(self, subject: Subject, sample: Sample, epoch: int = 0) -> SampleResult:
        """Ask one sample and score the answer.

        What is wrong with the sample (too long, refused by the template, a scorer
        that raises) is said in the result: one sample does not end a run.

        Raises:
            Cancelled: stopping was asked for.
            RuntimeFailure, StoreError: the model, or one that judges, failed.
        """
        try:
            if self.task.method == "choices":
                return self._choose(subject, sample)
            return self._write(subject, sample, epoch)
        except LocalkitError as error:
            if _is_of_the_model(error):
                raise
            why = short(error.one_line())
        return SampleResult(id=sample.id, epoch=epoch, gold=sample.gold, unscored=why)

    def _choose(self, subject: Subject, sample: Sample) -> SampleResult:
        variant, cancel = self.variant, self.surroundings.cancel
        if not _is_as_it_stands(self.task, variant):
            prompt = text_of(
                self.task,
                sample,
                system=variant.system,
                prompt_form=variant.prompt,
            )
            sample = replace(sample, prompt=prompt)
        score = subject.choose(self.task, sample, cancel=cancel)
        return SampleResult(
            id=sample.id,
            gold=score.gold,
            choices=score.choices,
            unscored=score.unscored,
        )

    def _write(self, subject: Subject, sample: Sample, epoch: int) -> SampleResult:
        answer = self._answer(subject, sample, self._params(epoch))
        scores = {
            one.name: self._score(one, sample, answer) for one in self.task.scorers
        }
        return SampleResult(
            id=sample.id,
            epoch=epoch,
            answer=_shown(answer),
            scores=scores,
            n_prompt=answer.n_prompt,
            n_generated=answer.n_generated,
            finish_reason=answer.finish_reason,
            ttft_s=answer.ttft_s,
            total_s=answer.total_s,
            notes=tuple(map(whole, answer.notes)),
        )

    def _answer(
        self, subject: Subject, sample: Sample, params: SamplingParams
    ) -> Answer:
        system, form = self.variant.system, self.variant.prompt
        cancel = self.surroundings.cancel
        if not self.task.chat:
            text = text_of(self.task, sample, system=system, prompt_form=form)
            return subject.complete(text, params, cancel=cancel)
        messages = messages_of(self.task, sample, system=system, prompt_form=form)
        tools: Sequence[ToolLike] = sample.fields.get("tools") or ()
        return subject.chat(messages, params, tools=tools, cancel=cancel)

    def _params(self, epoch: int) -> SamplingParams:
        params = self.variant.params or self.task.params
        return replace(params, seed=(params.seed or 0) + epoch)

    def _score(self, scorer: Scorer, sample: Sample, answer: Answer) -> Score:
        try:
            score = scorer.score(sample, answer, self.surroundings)
        except LocalkitError as error:
            # A judge that is missing or fell over says nothing about the answer.
            if _is_of_the_model(error):
                raise
            return Score(value=None, why=short(error.one_line()))
        except Exception as error:  # anybody's code: it costs one score, not the run
            kind = type(error).__name__
            why = short(f"scorer {scorer.name} failed: {kind}: {error}")
            return Score(value=None, why=why)
        if score.value is not None and not math.isfinite(score.value):
            return Score(value=None, why=f"scorer {scorer.name} gave {score.value}")
        return Score(
            value=score.value, extracted=whole(score.extracted), why=whole(score.why)
        )


def _is_of_the_model(error: LocalkitError) -> bool:
    """Whether a model failed that may answer another time."""
    return isinstance(error, RuntimeFailure | StoreError) and not isinstance(
        error, _OF_THE_SAMPLE
    )


def _is_as_it_stands(task: Task, variant: Variant) -> bool:
    """Whether the prompt of a sample is all that stands before its choices."""
    has_more = task.examples or task.system
    return not has_more and variant.prompt is None and variant.system is None


def short(text: str) -> str:
    """Return a reason on one line that a table has room for."""
    line = whole(" ".join(text.split()))
    return line if len(line) <= _MAX_WHY else f"{line[: _MAX_WHY - 1]}…"


def whole(text: str) -> str:
    """Return the text with half characters spelt out: no record can hold them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _shown(answer: Answer) -> str:
    """Return what was answered, calls of tools as Python would write them."""
    calls = [
        f"{call.name}({', '.join(f'{k}={v!r}' for k, v in call.arguments.items())})"
        for call in answer.tool_calls
    ]
    return whole("\n".join([*([answer.text] if answer.text else []), *calls]))
