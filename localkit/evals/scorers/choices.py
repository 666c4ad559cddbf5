"""Score questions by the log-likelihood of their choices.

The token rule is lm-evaluation-harness's (lm_eval/api/model.py,
``_encode_pair``): spaces that end the prompt move to the choice, prompt and
choice are tokenized together, and the choice is what follows as many tokens as
the prompt alone has. Unlike there, the tokenizer's own BOS is always added.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from localkit.errors import ContextTooLong, NotComparable
from localkit.evals.statistics.estimates import (
    Estimate,
    items_needed,
    mcnemar,
    paired_proportions,
    proportion,
)
from localkit.runtime.params import ServeParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.tasks.sample import Sample
    from localkit.evals.tasks.task import Norm, Task
    from localkit.events import CancelToken
    from localkit.runtime.protocol import Session

# An item's score must not depend on which items were scored before it.
_EXACT = ServeParams(exact=True)


class ChoiceScore(BaseModel):
    """One choice of an item: its log-likelihood and what it may be divided by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    logprob: float
    """Σ ln p of its tokens after the prompt, nats."""
    logprob_apart: float
    """The same from the first token on that is not common to all choices."""
    n_tokens: int
    n_tokens_apart: int
    """Tokens behind `logprob_apart`."""
    n_chars: int
    """Characters of the choice, without the joiner."""
    n_bytes: int
    """UTF-8 bytes of the same."""

    def score(self, norm: Norm) -> float:
        """Return the log-likelihood by which choices are ranked."""
        match norm:
            case "none":
                return self.logprob
            case "token":
                return self.logprob_apart / self.n_tokens_apart
            case "char":
                return self.logprob / self.n_chars
            case "byte":
                return self.logprob / self.n_bytes


class ItemScore(BaseModel):
    """A model's answer to one item."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    gold: int
    """Index of the right choice."""
    choices: tuple[ChoiceScore, ...] = ()
    """One a choice; empty when the item is unscored."""
    unscored: str | None = None
    """Why the item could not be scored; None when it was."""

    def prediction(self, norm: Norm) -> int | None:
        """Return the likeliest choice, the first of equals; None if unscored."""
        scores = [choice.score(norm) for choice in self.choices]
        return max(range(len(scores)), key=scores.__getitem__) if scores else None

    def correct(self, norm: Norm) -> bool | None:
        """Return whether the prediction is right; None if unscored."""
        prediction = self.prediction(norm)
        return None if prediction is None else prediction == self.gold


class ItemsSummary(NamedTuple):
    """Accuracy over the items of a task."""

    accuracy: Estimate
    """Share of right answers, with Wilson's interval."""
    n_items: int
    """Items scored."""
    n_unscored: int


class PairedItems(NamedTuple):
    """Two models' answers to the same items."""

    difference: Estimate
    """Accuracy minus the reference's, over the items that both scored."""
    n_lost: int
    """Right in the reference, wrong here."""
    n_gained: int
    """Wrong in the reference, right here."""
    p_value: float
    """Exact McNemar test."""
    n_items: int
    """Items that both scored."""
    n_unscored: int
    """Items that one or both did not."""
    n_needed: int | None
    """Items that would tell a difference of this size apart; None: none would."""


def encode_choices(
    session: Session, prompt: str, choices: Sequence[str]
) -> tuple[list[int], list[list[int]]]:
    """Return the prompt's tokens and each choice's."""
    context = prompt.rstrip()
    moved = prompt[len(context) :]
    head = session.tokenize(context)
    tails = [
        session.tokenize(context + moved + choice)[len(head) :] for choice in choices
    ]
    if not head and session.bos is not None:
        head = [session.bos]
    return head, tails


def score_item(
    session: Session, task: Task, item: Sample, *, cancel: CancelToken | None = None
) -> ItemScore:
    """Score every choice of an item after its prompt.

    What cannot be scored (too long, a probability that is no number) is said in
    the result, so that one item does not end a run.

    Raises:
        SessionClosed: the model was unloaded.
        Cancelled: ``cancel`` was raised.
    """
    endings = [task.joiner + choice for choice in item.choices]
    head, tails = encode_choices(session, item.prompt, endings)
    if not head or not all(tails):
        return ItemScore(id=item.id, gold=item.gold, unscored="a choice has no tokens")
    try:
        scores = session.score(head, tails, serve=_EXACT, cancel=cancel)
    except ContextTooLong as error:
        return ItemScore(id=item.id, gold=item.gold, unscored=error.one_line())
    if not all(math.isfinite(score.logprobs.sum()) for score in scores):
        return ItemScore(
            id=item.id, gold=item.gold, unscored="a log-probability is not finite"
        )
    common = _common_prefix(tails)
    choices = tuple(
        ChoiceScore(
            logprob=float(score.logprobs.sum()),
            logprob_apart=float(score.logprobs[common:].sum()),
            n_tokens=len(tail),
            n_tokens_apart=len(tail) - common,
            n_chars=len(choice),
            n_bytes=len(choice.encode()),
        )
        for choice, tail, score in zip(item.choices, tails, scores, strict=True)
    )
    return ItemScore(id=item.id, gold=item.gold, choices=choices)


def summarize_items(scores: Sequence[ItemScore], norm: Norm) -> ItemsSummary:
    """Return the accuracy over the items that were scored."""
    answers = [score.correct(norm) for score in scores]
    scored = [answer for answer in answers if answer is not None]
    accuracy = proportion(sum(scored), len(scored))
    return ItemsSummary(accuracy, len(scored), len(answers) - len(scored))


def compare_items(
    scores: Sequence[ItemScore], reference: Sequence[ItemScore], norm: Norm
) -> PairedItems:
    """Compare the answers to the same items, pair by pair.

    Raises:
        NotComparable: the two answered different items, or one twice.
    """
    by_id = {score.id: score for score in scores}
    base_by_id = {score.id: score for score in reference}
    repeated = len(by_id) < len(scores) or len(base_by_id) < len(reference)
    if repeated or by_id.keys() != base_by_id.keys():
        msg = f"{len(scores)} answers and the reference's {len(reference)} do not pair"
        raise NotComparable(msg, hint="ask both the same items, once each")
    pairs = [
        (score.correct(norm), base_by_id[id_].correct(norm))
        for id_, score in by_id.items()
    ]
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    gained = sum(a and not b for a, b in both)
    lost = sum(b and not a for a, b in both)
    return PairedItems(
        difference=paired_proportions(gained, lost, len(both)),
        n_lost=lost,
        n_gained=gained,
        p_value=mcnemar(gained, lost) if both else math.nan,
        n_items=len(both),
        n_unscored=len(pairs) - len(both),
        n_needed=items_needed(gained, lost, len(both)),
    )


def _common_prefix(tails: Sequence[Sequence[int]]) -> int:
    """Return how many first tokens all choices share, leaving each at least one."""
    shared = 0
    for tokens in zip(*(tail[:-1] for tail in tails), strict=False):
        if len(set(tokens)) > 1:
            break
        shared += 1
    return shared
