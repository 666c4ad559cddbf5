"""Texts as vectors, and documents in order of what a reranker thinks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, overload

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from localkit.events import CancelToken
    from localkit.runtime.params import Pooling
    from localkit.runtime.protocol import Session

    Texts = list[str] | tuple[str, ...]

# Embedding has the engine to itself; between portions answers go on.
_PORTION = 64


class Ranked(NamedTuple):
    """A document's place in what was given, and its score."""

    index: int  # type: ignore[assignment]  # what every reranking API calls it
    score: float
    """As the model gives it: higher is more relevant, comparable for one query."""


class Loaded(Protocol):
    """What these methods of `localkit.model.Model` need of it."""

    session: Session


def embed(
    self: Loaded,
    inputs: str | Sequence[str],
    *,
    pooling: Pooling | None = None,
    normalize: bool = True,
    cancel: CancelToken | None = None,
) -> NDArray[np.float32]:
    """Return the vector of a text, or one a row for several.

    Args:
        self: The model.
        inputs: A text gives shape (n_embd,), several give (n, n_embd).
        pooling: ``mean``, ``cls`` or ``last``; None: as the model says, else
            ``mean``.
        normalize: Scale each vector to length 1.
        cancel: Raise it to stop.

    Raises:
        ContextTooLong: a text exceeds the context; none is cut.
        UsageError: a text has no tokens.
    """
    texts = [inputs] if isinstance(inputs, str) else list(inputs)
    vectors = _portions(
        self.session,
        [self.session.tokenize(text) for text in texts],
        pooling=pooling,
        normalize=normalize,
        cancel=cancel,
    )
    return vectors[0] if isinstance(inputs, str) else vectors


@overload
def rerank(
    self: Loaded,
    query: str,
    documents: Sequence[str],
    *,
    cancel: CancelToken | None = ...,
) -> list[Ranked]: ...
@overload
def rerank(
    self: Loaded,
    query: Texts,
    documents: Sequence[str],
    *,
    cancel: CancelToken | None = ...,
) -> list[list[Ranked]]: ...
def rerank(
    self: Loaded,
    query: str | Texts,
    documents: Sequence[str],
    *,
    cancel: CancelToken | None = None,
) -> list[Ranked] | list[list[Ranked]]:
    """Return (index, score) of the documents, the most relevant first.

    Several queries are each answered with all the documents in their order.

    Raises:
        Unsupported: the model is no reranker.
        ContextTooLong: query and document exceed the context.
    """
    if isinstance(query, str):
        return _rank(self.session, query, documents, cancel=cancel)
    return [_rank(self.session, one, documents, cancel=cancel) for one in query]


def _portions(
    session: Session,
    inputs: Sequence[Sequence[int]],
    *,
    pooling: Pooling | None,
    normalize: bool,
    cancel: CancelToken | None,
) -> NDArray[np.float32]:
    """Return one vector per input, shape (n_inputs, n_embd)."""
    import numpy as np

    portions = [
        session.embed(
            inputs[start : start + _PORTION],
            pooling=pooling,
            normalize=normalize,
            cancel=cancel,
        )
        # One portion without inputs has the width of the vectors.
        for start in range(0, max(1, len(inputs)), _PORTION)
    ]
    return np.concatenate(portions)


def _rank(
    session: Session,
    query: str,
    documents: Sequence[str],
    *,
    cancel: CancelToken | None,
) -> list[Ranked]:
    """Return the documents' scores for ``query``, best first, ties in order."""
    scores = _portions(
        session,
        [session.pair(query, document) for document in documents],
        pooling="rank",
        normalize=False,
        cancel=cancel,
    )
    found = [Ranked(index, float(row[0])) for index, row in enumerate(scores)]
    return sorted(found, key=lambda one: -one.score)
