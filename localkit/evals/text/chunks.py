"""The seam between a text that is cut up and what scores its pieces.

A *chunk* is what errors are clustered by: a window of a long text, or a document
of several. A *stretch* is what is decoded at once; a chunk has one or more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Stretch(NamedTuple):
    """Tokens decoded together from an empty cache, and those to predict."""

    inputs: tuple[int, ...]
    first: int
    """Position of the first logits that are scored."""
    targets: NDArray[np.int32]
    """Tokens to predict from position `first` on, shape (n_scored,)."""


class Chunks(Protocol):
    """A text cut into chunks: `Windows` of one text, or `Documents`."""

    @property
    def n_ctx(self) -> int:
        """Tokens of the longest stretch."""

    @property
    def n_chunks(self) -> int:
        """Chunks in use."""

    @property
    def digest(self) -> str:
        """Names the tokens and how they are cut, however many chunks are in use."""

    @property
    def n_bytes_scored(self) -> tuple[int, ...]:
        """UTF-8 bytes of each chunk's scored tokens."""

    @property
    def magic(self) -> bytes:
        """Kind of base file that holds such chunks, 8 bytes."""

    def own(self, index: int) -> NDArray[np.int32]:
        """Return a chunk's own tokens."""

    def n_rows(self, index: int) -> int:
        """Return how many tokens of a chunk are scored."""

    def stretches(self, index: int) -> Sequence[Stretch]:
        """Return what to decode; their targets together are the scored tokens."""

    def shown(self, index: int) -> list[int]:
        """Return the scored tokens and the one before them."""
