"""Requests of lm-eval, put together so that each context is computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localkit.errors import ContextTooLong

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Encoded = tuple[object, Sequence[int], Sequence[int]]
    """lm-eval's own key, tokens of the context, tokens of the continuation."""


@dataclass(slots=True)
class Group:
    """Continuations of one context."""

    context: tuple[int, ...]
    continuations: list[tuple[int, ...]] = field(default_factory=list)
    """Each once, however often it was asked for."""
    places: list[list[int]] = field(default_factory=list)
    """Of the requests behind each continuation."""

    @property
    def n_tokens(self) -> int:
        """Tokens from the first of the context to the end of the longest."""
        return len(self.context) + max(map(len, self.continuations))


def grouped(
    requests: Iterable[Encoded], *, n_ctx: int, prefix: int
) -> tuple[list[Group], int]:
    """Return the groups, longest first, and how many contexts were cut.

    Behind a single token nothing is saved: each of its continuations, which may be
    whole documents, is a group of its own.

    A context that leaves too little room loses its first tokens, as in every model
    of lm-eval. The last token of a continuation is scored and never fed, so n_ctx + 1
    tokens fit. An empty context becomes ``prefix``. Requests without a continuation
    are in no group.

    Raises:
        ContextTooLong: a continuation alone exceeds the context length.
    """
    by_context: dict[tuple[int, ...], Group] = {}
    index: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
    alone: list[Group] = []
    n_cut = 0
    for place, (_, context, continuation) in enumerate(requests):
        if not continuation:
            continue
        if len(continuation) > n_ctx:
            raise ContextTooLong(len(continuation), n_ctx)
        room = n_ctx + 1 - len(continuation)
        n_cut += len(context) > room
        key = tuple(context[-room:]) or (prefix,)
        said = tuple(continuation)
        if len(key) == 1:
            alone.append(Group(key, [said], [[place]]))
            continue
        group = by_context.setdefault(key, Group(key))
        at = index.setdefault((key, said), len(group.continuations))
        if at == len(group.continuations):
            group.continuations.append(said)
            group.places.append([])
        group.places[at].append(place)
    groups = sorted([*by_context.values(), *alone], key=lambda group: -group.n_tokens)
    return groups, n_cut
