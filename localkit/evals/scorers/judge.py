"""Judge: a model says what an answer is worth.

It grades an answer by itself, or compares it with the right one in both orders
(`pairwise`). Neither is the truth: compare a judge's grades with your own on some
samples, and never let a model judge itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from localkit.errors import Cancelled, LocalkitError, UsageError
from localkit.evals.scorers.judge_pairs import CRITERIA, judge_pair
from localkit.evals.scorers.judge_prompts import INSTRUCTIONS, ask, fenced, filled
from localkit.evals.scorers.protocol import Score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.evals.scorers.protocol import Answer, Surroundings
    from localkit.evals.subjects.protocol import Subject
    from localkit.evals.tasks.sample import Sample

TEMPLATE = """A question was answered.

{question}

{reference}

{answer}

{rubric} Grade the answer with one of these, worst first: {grades}."""
RUBRIC = "Judge whether the answer is correct and does what was asked."
GRADES = ("wrong", "partly right", "right")
_WORTH = {"a": 1.0, "tie": 0.5, "b": 0.0}


@dataclass(frozen=True, slots=True)
class Judge:
    """What a model thinks of an answer: 0 for its worst grade, 1 for its best."""

    model: str
    """Who judges: a model ref, or ``MODEL@URL``."""
    rubric: str = ""
    """What to judge by; default: `RUBRIC`, in pairs `CRITERIA`."""
    grades: tuple[str, ...] = GRADES
    """Worst first; their worth is spaced evenly from 0 to 1."""
    pairwise: bool = False
    """Compare with the first target, in both orders: 1 where the answer is better
    in both, 0 where it is worse in both, else 0.5."""
    template: str = TEMPLATE
    """The question to the judge; may use {question}, {answer}, {reference},
    {rubric} and {grades}. The first three come between marks."""
    explain: bool = True
    """Let the judge give a reason before it grades."""
    digest: str = ""
    """Of the judge, as `Subject` has it: part of what the score means. Filled in by
    `scorers.pinning`; another judge under the same name is then refused."""
    name: str = "judge"

    def __post_init__(self) -> None:
        """Refuse what could not be judged."""
        object.__setattr__(self, "grades", tuple(self.grades))  # a list in a task file
        if not self.pairwise and len(set(self.grades)) < max(2, len(self.grades)):
            msg = f"the judge's grades are {', '.join(self.grades) or 'none'}"
            raise UsageError(msg, hint="name two or more, worst first, each once")
        known = ("question", "answer", "reference", "rubric", "grades")
        filled(self.template, dict.fromkeys(known, ""))

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return {
            "type": "judge",
            "model": self.model,
            "digest": self.digest,
            "rubric": self._rubric,
            "grades": [] if self.pairwise else list(self.grades),
            "pairwise": self.pairwise,
            "template": "" if self.pairwise else self.template,
            "instructions": INSTRUCTIONS,
            "explain": self.explain,
        }

    def pinned(self, digest: str) -> Judge:
        """Return the same judge, held to be the model of that digest."""
        return replace(self, digest=digest)

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return what the judge says; None where it says nothing that counts."""
        try:
            judge = surroundings.open_subject(self.model)
            if self.digest and judge.digest != self.digest:
                why = f"'{self.model}' is another model now: {judge.digest[:19]}…"
                return Score(value=None, why=why)
            if self.pairwise:
                return self._compare(judge, sample, answer, surroundings)
            return self._grade(judge, sample, answer, surroundings)
        except Cancelled:
            raise
        except LocalkitError as error:
            why = f"the judge did not answer: {error.one_line()}"
            return Score(value=None, why=why)

    @property
    def _rubric(self) -> str:
        return self.rubric or (CRITERIA if self.pairwise else RUBRIC)

    def _grade(
        self, judge: Subject, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        target = "\n".join(sample.target)
        values = {
            "question": fenced("question", sample.prompt),
            "answer": f"The answer:\n{fenced('answer', answer.text)}",
            "reference": f"A right answer:\n{fenced('reference', target)}"
            if target
            else "No right answer is given.",
            "rubric": self._rubric,
            "grades": ", ".join(self.grades),
        }
        verdict = ask(
            judge,
            filled(self.template, values),
            "grade",
            self.grades,
            explain=self.explain,
            cancel=surroundings.cancel,
        )
        if verdict.choice is None:
            return Score(value=None, why=verdict.why)
        worth = self.grades.index(verdict.choice) / (len(self.grades) - 1)
        return Score(value=worth, extracted=verdict.choice, why=verdict.why)

    def _compare(
        self, judge: Subject, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        if not sample.target:
            return Score(value=None, why="there is no answer to compare with")
        verdict = judge_pair(
            judge,
            sample.prompt,
            answer.text,
            sample.target[0],
            criteria=self._rubric,
            explain=self.explain,
            cancel=surroundings.cancel,
        )
        if verdict.winner is None:
            return Score(value=None, why=verdict.why)
        words = {"a": "the answer", "b": "the target", "tie": "tie"}[verdict.winner]
        order = "" if verdict.agreed else "the order decided: "
        return Score(
            value=_WORTH[verdict.winner], extracted=words, why=order + verdict.why
        )
