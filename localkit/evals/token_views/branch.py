"""What would have come after another token."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from localkit.errors import UsageError
from localkit.evals.token_views.answer_tokens import ShownToken, shown_tokens
from localkit.evals.token_views.look import look

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localkit.events import CancelToken
    from localkit.runtime.params import SamplingParams
    from localkit.runtime.protocol import FinishReason, Session


class Branch(NamedTuple):
    """An answer that takes another token at one position, and goes on from there."""

    at: int
    """Position of the token that was replaced."""
    ref: str
    """Model that went on."""
    tokens: tuple[ShownToken, ...]
    """The token that was put there, and what followed it."""
    finish_reason: FinishReason

    @property
    def first(self) -> ShownToken:
        """The token that was put there."""
        return self.tokens[0]

    def text(self, *, keep_lines: bool = False) -> str:
        """Return the branch for people, from the other token on."""
        return "".join(
            one.spelling.read(keep_lines=keep_lines)
            for one in self.tokens
            if not one.spelling.control
        )


def grow(
    session: Session,
    ref: str,
    prompt: Sequence[int],
    answer: Sequence[int],
    at: int,
    token: int,
    sampling: SamplingParams,
    *,
    n_top: int = 5,
    on_text: Callable[[str], None] = lambda _: None,
    cancel: CancelToken | None = None,
) -> Branch:
    """Put ``token`` at position ``at`` of ``answer`` and let the model go on.

    Stopped in between, the branch ends there and says ``interrupted``.

    Args:
        session: The model that goes on.
        ref: Its name.
        prompt: Tokens before the answer.
        answer: The answer as it was.
        at: Position in it; its length goes on behind the end.
        token: What to put there.
        sampling: How to go on; its ``max_tokens`` counts what follows.
        n_top: Alternatives to keep of each position.
        on_text: Called with text as it comes, the token's own first.
        cancel: Raise it to stop.

    Raises:
        UsageError: there is no such position or token.
        ContextTooLong: there is no room to go on.
    """
    if not 0 <= at <= len(answer):
        msg = f"position {at} is not in an answer of {len(answer)} tokens"
        raise UsageError(msg, hint=f"give 0 to {len(answer)}")
    if not 0 <= token < session.n_vocab:
        msg = f"token {token} is not among {session.n_vocab}"
        raise UsageError(msg, hint="take one of the alternatives")
    before = [*prompt, *answer[:at]]
    follows: tuple[int, ...] = ()
    reason: FinishReason = "stop"
    if token != session.eos:
        on_text(session.detokenize([token]))
        stream = session.stream(
            [*before, token],
            dataclasses.replace(sampling, structure=None),
            cancel=cancel,
        )
        for piece in stream:
            on_text(piece.text)
        follows, reason = stream.generation.tokens, stream.generation.finish_reason
    figures = look(session, before, [token, *follows], n_top=n_top)
    return Branch(at, ref, shown_tokens(session, figures), reason)
