"""What the token view draws, as JSON: short lists, for answers are long."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from localkit.evals.token_views.answer_tokens import RARE, UNLIKELY
from localkit.render.text import clean
from localkit.render.tokens import MAX_TOKENS
from localkit.widgets.tokens.record import heading
from localkit.widgets.tokens.words import branch_line, named, sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.token_views.answer_tokens import (
        Alternative,
        AnswerTokens,
        ShownToken,
    )
    from localkit.evals.token_views.branch import Branch

MAX_CHARS = 500_000
"""Of the tokens together; a panel's state may have 1 MiB."""
BRANCH_CHARS = 12_000
"""Of one branch; there may be twenty."""


def answer_state(answer: AnswerTokens) -> dict[str, Any]:
    """Return the part of the state that never changes."""
    tokens = as_far([token_state(one) for one in answer.tokens[:MAX_TOKENS]], MAX_CHARS)
    return {
        "title": clean(heading(answer)),
        "sums": [clean(line) for line in (*sums(answer), *answer.notes)],
        "refs": [clean(ref) for ref in (answer.ref, answer.against) if ref],
        "tokens": tokens,
        "n_tokens": len(answer.tokens),
        "parts_at": answer.parts_at,
        "unlikely": UNLIKELY,
        "rare": RARE,
        "own": [
            {
                "label": clean(f"{one.ref} answers ({one.finish_reason})"),
                "tokens": [_shown(spelling) for spelling in one.spellings[:MAX_TOKENS]],
            }
            for one in answer.own
        ],
    }


def token_state(one: ShownToken) -> list[Any]:
    """Return [shown, name, logprob, rank, entropy, top, KL, there, is control].

    ``there`` is [logprob, rank, top], and both it and KL are null without another
    model; ``top`` holds [token, name, logprob].
    """
    here, there = one.figures.here, one.figures.there
    return [
        _shown(one.spelling),
        clean(named(one.spelling)),
        _round(here.logprob),
        here.rank,
        _round(here.entropy),
        _top(one.top),
        None if one.figures.kl is None else _round(one.figures.kl),
        None
        if there is None
        else [_round(there.logprob), there.rank, _top(one.top_there)],
        one.spelling.control,
    ]


def branch_state(branch: Branch, answer: AnswerTokens, name: str) -> dict[str, Any]:
    """Return a branch that is done."""
    return {
        "name": name,
        "at": branch.at,
        "label": clean(branch_line(branch, answer)),
        "tokens": as_far(
            [
                [
                    _shown(one.spelling),
                    clean(named(one.spelling)),
                    _round(one.figures.here.logprob),
                ]
                for one in branch.tokens[:MAX_TOKENS]
            ],
            BRANCH_CHARS,
        ),
        "n_tokens": len(branch.tokens),
    }


def as_far(items: Sequence[Any], max_chars: int) -> list[Any]:
    """Return the first of ``items``, as many as ``max_chars`` hold."""
    kept, n_chars = [], 0
    for item in items:
        n_chars += len(repr(item))
        if n_chars > max_chars:
            break
        kept.append(item)
    return kept


def _top(top: Sequence[Alternative]) -> list[list[Any]]:
    return [[one.token, clean(named(one.spelling)), _round(one.logprob)] for one in top]


def _shown(spelling: Any) -> str:
    return clean(spelling.shown(keep_lines=True))


def _round(value: float) -> float | None:
    """Return five digits; None for infinity, which JSON has no number for."""
    return round(value, 5) if math.isfinite(value) else None
