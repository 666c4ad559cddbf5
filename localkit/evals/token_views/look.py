"""What one model, or two, thought of each token of an answer.

A position's distribution over the whole vocabulary is looked at and dropped: what
is kept of it are its figures and its likeliest tokens. Logits come in blocks of at
most 64 rows from a local engine: 12 MiB for 49k tokens, and as much for a second
model, however long the answer is.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from localkit.errors import ContextTooLong, NotComparable, UsageError
from localkit.evals.token_views.rows import (
    RowFigures,
    divergence,
    log_probs,
    row_figures,
)
from localkit.runtime.pool.pooled import use

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from localkit.events import CancelToken
    from localkit.runtime.protocol import Session


class TokenFigures(NamedTuple):
    """One token of an answer, as a model saw it coming."""

    token: int
    here: RowFigures
    """What the model thought that was asked."""
    there: RowFigures | None = None
    """What the other one thought after the same tokens."""
    kl: float | None = None
    """KL(here‖there) over the whole vocabulary, nats."""

    @property
    def change(self) -> float | None:
        """Ln p of the other model minus ln p of this one."""
        if self.there is None:
            return None
        return self.there.logprob - self.here.logprob

    @property
    def same_top(self) -> bool | None:
        """Whether both hold the same token most likely."""
        if self.there is None:
            return None
        return self.here.top[:1] == () or self.here.top[0][0] == self.there.top[0][0]


def look(
    session: Session,
    prompt: Sequence[int],
    answer: Sequence[int],
    *,
    against: Session | None = None,
    n_top: int = 5,
    cancel: CancelToken | None = None,
) -> list[TokenFigures]:
    """Return the figures of each token of ``answer`` after ``prompt``.

    Both models are given the same tokens. They are resident together and read in
    step, so that a block of each is held at a time.

    Raises:
        UsageError: there is no token to look at, or none before it.
        ContextTooLong: prompt and answer exceed a context.
        NotComparable: the vocabularies differ in size.
        Cancelled: ``cancel`` was raised.
    """
    if not answer:
        return []
    if not prompt:
        msg = "the answer's first token follows nothing"
        raise UsageError(msg, hint="give a prompt: a model needs a token to go on from")
    if n_top < 1:
        msg = f"top is {n_top}"
        raise UsageError(msg, hint="ask for at least one alternative")
    tokens = [*prompt, *answer]
    first = len(prompt) - 1
    sessions = [session] if against is None else [session, against]
    for one in sessions:
        if len(tokens) > one.n_ctx:
            raise ContextTooLong(len(tokens), one.n_ctx)
    if against is not None and against.n_vocab != session.n_vocab:
        msg = f"the vocabularies have {session.n_vocab} and {against.n_vocab} tokens"
        raise NotComparable(msg, hint="compare quants of one model")
    with ExitStack() as stack:
        for one in sessions:
            stack.enter_context(use(one))
        rows = [_rows(one, tokens, first, cancel) for one in sessions]
        found = [
            _figures(token, [log_probs(row) for row in at], n_top)
            for token, *at in zip(answer, *rows, strict=False)
        ]
        # The last row tells what would come next; the generators end with it.
        for generator in rows:
            for _ in generator:
                pass
    return found


def _rows(
    session: Session, tokens: Sequence[int], first: int, cancel: CancelToken | None
) -> Iterator[NDArray[np.float32]]:
    for block in session.logits(tokens, first=first, cancel=cancel):
        yield from block


def _figures(
    token: int, rows: Sequence[NDArray[np.float64]], n_top: int
) -> TokenFigures:
    here = row_figures(rows[0], token, n_top)
    if len(rows) == 1:
        return TokenFigures(token, here)
    there = row_figures(rows[1], token, n_top)
    return TokenFigures(token, here, there, divergence(rows[0], rows[1]))


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Return where two answers part; None where they are the same.

    Where one is the beginning of the other, its end.
    """
    for at, (token, other_token) in enumerate(zip(one, other, strict=False)):
        if token != other_token:
            return at
    return None if len(one) == len(other) else min(len(one), len(other))
