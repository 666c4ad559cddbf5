"""Which of two answers a judge prefers, asked in both orders.

A judge likes the answer that it reads first, or the second (Zheng et al. 2023,
"Judging LLM-as-a-Judge", §3.3). So each pair is shown both ways: where the two
verdicts differ, the order decided, and the pair is a tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from localkit.errors import Cancelled, LocalkitError
from localkit.evals.scorers.judge_prompts import ask, fenced
from localkit.evals.statistics.estimates import Estimate, proportion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localkit.evals.subjects.protocol import Subject
    from localkit.evals.tasks.sample import Sample
    from localkit.events import CancelToken

Winner = Literal["a", "b", "tie"]

CRITERIA = "Which answer is better: more correct, more helpful, and as asked for?"
_SAID = ("first", "second", "tie")
# What "first" and "second" mean in each order.
_AS_SHOWN: dict[str, Winner] = {"first": "a", "second": "b", "tie": "tie"}
_SWAPPED: dict[str, Winner] = {"first": "b", "second": "a", "tie": "tie"}


class PairJudgement(NamedTuple):
    """What a judge thinks of two answers."""

    winner: Winner | None
    """``tie`` also where the order decided; None: it could not be judged."""
    agreed: bool | None
    """Whether both orders gave the same verdict; None where one is missing."""
    verdicts: tuple[Winner | None, Winner | None]
    """With ``a`` shown first, with ``b`` shown first."""
    why: str
    """The judge's reasons, or why there is no verdict."""


def judge_pair(
    judge: Subject,
    question: str,
    a: str,
    b: str,
    *,
    target: str = "",
    criteria: str = CRITERIA,
    explain: bool = True,
    cancel: CancelToken | None = None,
) -> PairJudgement:
    """Ask ``judge`` twice which of two answers is better, each shown first once.

    Answers that are the same are a tie, and the judge is not asked.

    Raises:
        RuntimeFailure: it did not answer.
        Cancelled: ``cancel`` was raised.
    """
    if a == b:
        return PairJudgement("tie", True, ("tie", "tie"), "the answers are the same")
    verdicts, reasons = [], []
    for first, second, meaning in ((a, b, _AS_SHOWN), (b, a, _SWAPPED)):
        text = _question(question, first, second, target, criteria)
        said = ask(judge, text, "better", _SAID, explain=explain, cancel=cancel)
        verdicts.append(None if said.choice is None else meaning[said.choice])
        reasons.append(said.why)
    one, other = verdicts
    why = " / ".join(filter(None, reasons))
    if one is None or other is None:
        return PairJudgement(None, None, (one, other), why)
    return PairJudgement(
        one if one == other else "tie", one == other, (one, other), why
    )


def judge_answers(
    judge: Subject,
    samples: Iterable[Sample],
    a: Mapping[str, str],
    b: Mapping[str, str],
    *,
    criteria: str = CRITERIA,
    explain: bool = True,
    cancel: CancelToken | None = None,
) -> dict[str, PairJudgement]:
    """Compare two models' answers, sample by sample; put `agreement` over the values.

    Args:
        judge: Who compares; neither of the two, if its word is to count.
        samples: What was asked; one that a model did not answer is left out.
        a: One model's answers, by id of the sample.
        b: The other's.
        criteria: What to judge by.
        explain: Let the judge give a reason first.
        cancel: Raise it to stop.

    Returns:
        By id; without a winner, and with the reason, where the judge failed.

    Raises:
        Cancelled: ``cancel`` was raised.
    """
    judgements = {}
    for sample in samples:
        if sample.id not in a or sample.id not in b:
            continue
        try:
            judgements[sample.id] = judge_pair(
                judge,
                sample.prompt,
                a[sample.id],
                b[sample.id],
                target="\n".join(sample.target),
                criteria=criteria,
                explain=explain,
                cancel=cancel,
            )
        except Cancelled:
            raise
        except LocalkitError as error:
            why = f"the judge did not answer: {error.one_line()}"
            judgements[sample.id] = PairJudgement(None, None, (None, None), why)
    return judgements


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """How a judge fared over many pairs: what it preferred, and how far to trust it."""

    n_a: int
    """Pairs that answer ``a`` won, in both orders."""
    n_b: int
    n_ties: int
    """Pairs that no answer won; those that the order decided among them."""
    n_unscored: int
    agreement: Estimate
    """Share of pairs where both orders gave the same verdict, Wilson's interval."""
    n_first: int
    """Pairs where in both orders the answer shown first was preferred."""
    n_second: int
    """The same of the one shown second."""

    def __str__(self) -> str:
        """Say it in a sentence."""
        one = self.agreement
        if not one.n:
            return "the judge gave no verdict on any pair"
        return (
            f"both orders agree in {one.value:.0%} of {one.n} pairs "
            f"({one.low:.0%} to {one.high:.0%}); the order decided "
            f"{self.n_first + self.n_second}: {self.n_first} for the answer shown "
            f"first, {self.n_second} for the second"
        )


def agreement(judgements: Iterable[PairJudgement]) -> JudgeAgreement:
    """Count what a judge said of many pairs."""
    given = list(judgements)
    scored = [one for one in given if one.winner is not None]
    winners = [one.winner for one in scored]
    return JudgeAgreement(
        n_a=winners.count("a"),
        n_b=winners.count("b"),
        n_ties=winners.count("tie"),
        n_unscored=len(given) - len(scored),
        agreement=proportion(sum(bool(one.agreed) for one in scored), len(scored)),
        n_first=sum(one.verdicts == ("a", "b") for one in scored),
        n_second=sum(one.verdicts == ("b", "a") for one in scored),
    )


def _question(
    question: str, first: str, second: str, target: str, criteria: str
) -> str:
    reference = f"A right answer:\n{fenced('reference', target)}" if target else ""
    parts = [
        f"Two answers were given to a question.\n\n{fenced('question', question)}",
        reference,
        f"The first answer:\n{fenced('first answer', first)}",
        f"The second answer:\n{fenced('second answer', second)}",
        f"{criteria} Say first, second or tie.",
    ]
    return "\n\n".join(filter(None, parts))
