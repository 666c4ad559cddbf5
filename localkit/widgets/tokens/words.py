"""Figures of tokens in words: titles, sums, tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from localkit.evals.token_views.answer_tokens import RARE, UNLIKELY
from localkit.render.tokens import Mark, TokenSpan
from localkit.render.visible import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localkit.evals.token_views.answer_tokens import (
        Alternative,
        AnswerTokens,
        ShownToken,
    )
    from localkit.evals.token_views.branch import Branch
    from localkit.evals.token_views.spelling import Spelling

HOTTEST_SURPRISE = 6.0
"""Nats at which the colour of surprise is strongest: a probability of 1 in 400."""
HOTTEST_KL = 2.0
"""Nats at which the colour of divergence is strongest; below, by the square root,
since most tokens of two quants lie under 0.1."""


def named(spelling: Spelling) -> str:
    """Return a token in quotation marks, its bytes where it is no text."""
    if spelling.broken:
        part, n_parts = spelling.part
        told = "?" if spelling.raw is None else spelling.raw.hex(" ")
        if not spelling.whole:
            return f"⟨{told}⟩ (part)"
        return f"⟨{told}⟩ (part {part} of {n_parts} of {quoted(spelling.whole)})"
    return quoted(spelling.text) if spelling.text else "‘’"


def number(value: float, digits: int = 2) -> str:
    """Return a figure with a true minus, and no minus before nothing."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def chance(logprob: float) -> str:
    """Return a probability with two digits that mean something."""
    p = math.exp(logprob)
    return f"{p:.2f}" if p >= 0.1 else f"{p:.2g}"


def alternatives(top: Sequence[Alternative], *, but: int | None = None) -> str:
    """Return the likeliest tokens with their probabilities."""
    return ", ".join(
        f"{named(one.spelling)} {chance(one.logprob)}"
        for one in top
        if one.token != but
    )


def title(one: ShownToken, answer: AnswerTokens) -> str:
    """Return what hovering over a token tells."""
    figures = one.figures
    here = figures.here
    told = (
        f"{named(one.spelling)} {number(here.logprob)} nats · p {chance(here.logprob)}"
        f" · rank {here.rank} · H {number(here.entropy)}"
        f" · also: {alternatives(one.top, but=figures.token)}"
    )
    if figures.there is None or figures.kl is None:
        return told
    return (
        f"{told} | {answer.against}: {number(figures.there.logprob)} nats"
        f" · p {chance(figures.there.logprob)} · rank {figures.there.rank}"
        f" · KL {number(figures.kl, 3)}"
        f" · also: {alternatives(one.top_there, but=figures.token)}"
    )


def span(one: ShownToken, answer: AnswerTokens, *, parts: bool = False) -> TokenSpan:
    """Return a token as it is shown in the text; ``parts``: two models part here."""
    figures = one.figures
    mark: Mark = ""
    if figures.kl is None:
        heat = one.surprise / HOTTEST_SURPRISE
        if figures.here.logprob < RARE:
            mark = "rare"
        elif figures.here.logprob < UNLIKELY:
            mark = "unlikely"
    else:
        heat = math.sqrt(max(figures.kl, 0.0) / HOTTEST_KL)
        mark = "" if figures.same_top else "differs"
    if one.spelling.control and not mark:
        mark = "control"
    return TokenSpan(
        one.spelling.shown(keep_lines=True),
        title(one, answer),
        heat,
        mark,
        parts=parts,
    )


def sums(answer: AnswerTokens) -> Iterator[str]:
    """Yield the figures of the whole answer."""
    n = len(answer.tokens)
    yield (
        f"{n} token{'' if n == 1 else 's'} · log-likelihood {number(answer.logprob)}"
        f" nats · perplexity {number(answer.perplexity)}"
        f" · mean entropy {number(answer.entropy)} nats"
    )
    if answer.against is None or not n:
        return
    yield (
        f"KL from {answer.ref} to {answer.against}: mean {number(answer.kl_mean, 3)},"
        f" median {number(answer.kl_median, 3)}, largest"
        f" {number(max(answer.kls), 3)} nats · same likeliest token at"
        f" {answer.n_same_top} of {n}"
    )
    yield parting(answer)


def parting(answer: AnswerTokens) -> str:
    """Return where two models part, in a sentence."""
    at = answer.parts_at
    if len(answer.own) == 2:
        if at is None:
            return f"both answer the same {len(answer.own[0].tokens)} tokens"
        first, second = (
            named(one.spellings[at]) if at < len(one.tokens) else "the end"
            for one in answer.own
        )
        return f"their own answers part at token {at}: {first} and {second}"
    if at is None:
        return "both hold the same token most likely everywhere"
    one = answer.tokens[at]
    return (
        f"the first token that they would choose differently is {at}: "
        f"{named(one.top[0].spelling)} and {named(one.top_there[0].spelling)}"
    )


def headers(answer: AnswerTokens) -> tuple[str, ...]:
    """Return the columns of the table."""
    base = ("at", "token", "logprob", "p", "rank", "entropy")
    if answer.against is None:
        return (*base, "also")
    return (*base, "Δ logprob", "KL", "likeliest there")


def row(answer: AnswerTokens, at: int) -> tuple[str, ...]:
    """Return one token as a row of the table."""
    one = answer.tokens[at]
    here = one.figures.here
    base = (
        str(at),
        named(one.spelling),
        number(here.logprob),
        chance(here.logprob),
        str(here.rank),
        number(here.entropy),
    )
    if one.figures.kl is None or one.figures.change is None:
        return (*base, alternatives(one.top[:3], but=one.figures.token))
    return (
        *base,
        number(one.figures.change),
        number(one.figures.kl, 3),
        alternatives(one.top_there[:1]),
    )


def align(answer: AnswerTokens) -> str:
    """Return the sides of the columns."""
    return "><>>>>" + ("<" if answer.against is None else ">><")


def branch_line(branch: Branch, answer: AnswerTokens) -> str:
    """Return what a branch is, in a phrase."""
    n = len(branch.tokens) - 1
    instead = (
        f"instead of {named(answer.tokens[branch.at].spelling)}"
        if branch.at < len(answer.tokens)
        else "behind the end"
    )
    ended = f"{n} more token{'' if n == 1 else 's'}, {branch.finish_reason}"
    return (
        f"{branch.ref}: {named(branch.first.spelling)} at token {branch.at} {instead}"
        f" ({ended})"
    )
