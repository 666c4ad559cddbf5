"""An answer token by token: figures, spellings and what else might have come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

from localkit.evals.token_views.look import first_difference
from localkit.evals.token_views.spelling import Speller, Spelling, spell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.token_views.look import TokenFigures
    from localkit.runtime.protocol import FinishReason, Session

UNLIKELY = math.log(0.1)
"""Logprob below which a token is marked as unlikely."""
RARE = math.log(0.01)
"""…and as rare."""


class Alternative(NamedTuple):
    """A token that might have come."""

    token: int
    spelling: Spelling
    logprob: float


class ShownToken(NamedTuple):
    """One token of an answer, ready to be shown."""

    figures: TokenFigures
    spelling: Spelling
    top: tuple[Alternative, ...]
    """The likeliest tokens of the model that was asked, the one that came included."""
    top_there: tuple[Alternative, ...] = ()
    """Those of the other model."""

    @property
    def surprise(self) -> float:
        """-ln p, nats."""
        return 0.0 - self.figures.here.logprob


class OwnAnswer(NamedTuple):
    """What a model answers by itself."""

    ref: str
    tokens: tuple[int, ...]
    spellings: tuple[Spelling, ...]
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """An answer as one model saw it, or two."""

    ref: str
    label: str
    """Quant of the model, with the lossy origin where there is one."""
    prompt: tuple[int, ...]
    """Tokens before the answer."""
    tokens: tuple[ShownToken, ...]
    against: str | None = None
    label_against: str = ""
    own: tuple[OwnAnswer, ...] = ()
    """Both models' own answers, where the answer was not given."""
    notes: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """Tokens of the answer."""
        return tuple(one.figures.token for one in self.tokens)

    @property
    def logprob(self) -> float:
        """Log-likelihood of the answer: the sum over its tokens, nats."""
        return math.fsum(one.figures.here.logprob for one in self.tokens)

    @property
    def perplexity(self) -> float:
        """exp(-mean logprob); NaN without tokens."""
        return math.exp(-self.logprob / len(self.tokens)) if self.tokens else math.nan

    @property
    def entropy(self) -> float:
        """Mean entropy of the distributions, nats; NaN without tokens."""
        return _mean([one.figures.here.entropy for one in self.tokens])

    @property
    def kls(self) -> list[float]:
        """KL divergence at each token; empty without another model."""
        return [one.figures.kl for one in self.tokens if one.figures.kl is not None]

    @property
    def kl_mean(self) -> float:
        """Mean KL divergence, nats a token; NaN without another model."""
        return _mean(self.kls)

    @property
    def kl_median(self) -> float:
        """Median KL divergence; NaN without another model."""
        return median(self.kls) if self.kls else math.nan

    @property
    def n_same_top(self) -> int:
        """Tokens at which both models hold the same one most likely."""
        return sum(one.figures.same_top is True for one in self.tokens)

    @property
    def parts_at(self) -> int | None:
        """Where the two models part; None: nowhere, or there is one model.

        That is where their own answers first differ. Where the answer was given, it is
        the first position at which they hold different tokens most likely.
        """
        if len(self.own) == 2:
            return first_difference(self.own[0].tokens, self.own[1].tokens)
        differing = (
            at for at, one in enumerate(self.tokens) if one.figures.same_top is False
        )
        return next(differing, None)

    def strangest(self, n: int = 10) -> list[int]:
        """Return where divergence is largest; without another model, surprise."""
        kls = self.kls

        def strange(at: int) -> tuple[float, int]:
            return -(kls[at] if kls else self.tokens[at].surprise), at

        return sorted(range(len(self.tokens)), key=strange)[:n]


def shown_tokens(
    session: Session, figures: Sequence[TokenFigures]
) -> tuple[ShownToken, ...]:
    """Spell the tokens of an answer and their alternatives."""
    speller = Speller(session)

    def spelled(top: Sequence[tuple[int, float]]) -> tuple[Alternative, ...]:
        return tuple(
            Alternative(token, speller.one(token), logprob) for token, logprob in top
        )

    spellings = spell(session, [one.token for one in figures], speller=speller)
    return tuple(
        ShownToken(
            one,
            spelling,
            spelled(one.here.top),
            spelled(one.there.top) if one.there is not None else (),
        )
        for one, spelling in zip(figures, spellings, strict=True)
    )


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else math.nan
