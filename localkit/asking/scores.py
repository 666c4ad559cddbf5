"""How likely continuations are, as a method of a loaded model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, overload

from localkit.asking.many import each
from localkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.asking.many import OnText, Work
    from localkit.events import CancelToken
    from localkit.runtime.protocol import ContinuationScore, Session

    Texts = list[str] | tuple[str, ...]
    Scores = list[ContinuationScore]


class Loaded(Protocol):
    """What this method of `localkit.model.Model` needs of it."""

    session: Session


@overload
def score(
    self: Loaded,
    prompt: str,
    continuations: Sequence[str],
    *,
    cancel: CancelToken | None = ...,
) -> Scores: ...
@overload
def score(
    self: Loaded,
    prompt: Texts,
    continuations: Sequence[Texts],
    *,
    cancel: CancelToken | None = ...,
) -> list[Scores]: ...
def score(
    self: Loaded,
    prompt: str | Texts,
    continuations: Sequence[str] | Sequence[Texts],
    *,
    cancel: CancelToken | None = None,
) -> Scores | list[Scores]:
    """Return the log-likelihood of each continuation after ``prompt``.

    Several prompts take a list of continuations each. Prompt and continuation are
    tokenized apart; see ``evals`` for tasks whose boundary needs more care.

    Raises:
        ContextTooLong: prompt and longest continuation exceed the context.
        UsageError: there are not as many lists as prompts.
    """
    if isinstance(prompt, str):
        after = [one for one in continuations if isinstance(one, str)]
        if len(after) < len(continuations):
            msg = "the continuations of one prompt are not texts"
            raise UsageError(msg, hint="give several prompts, or one list of texts")
        return _score(self.session, prompt, after, cancel)
    lists = [one for one in continuations if not isinstance(one, str)]
    if len(prompt) != len(lists):
        msg = f"{len(prompt)} prompts and {len(lists)} lists of continuations"
        raise UsageError(msg, hint="give each prompt a list of continuations")
    works = [
        _work(self.session, one, after)
        for one, after in zip(prompt, lists, strict=True)
    ]
    return each(works, self.session, cancel=cancel)


def _work(session: Session, before: str, after: Sequence[str]) -> Work[Scores]:
    def work(token: CancelToken, _: OnText) -> Scores:
        return _score(session, before, after, token)

    return work


def _score(
    session: Session, before: str, after: Sequence[str], cancel: CancelToken | None
) -> Scores:
    tails = [session.tokenize(text, add_special=False) for text in after]
    return session.score(session.tokenize(before), tails, cancel=cancel)
