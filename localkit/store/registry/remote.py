"""The seam between a registry and the download: one blob that can be read in ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class RangeReply:
    """What came back when bytes were asked for."""

    start: int
    """Where the bytes really begin: 0 when the server ignored the range."""
    total: int | None
    """Bytes of the whole blob as the server says; None when it does not."""
    etag: str | None
    """The server's mark of this version of the bytes; None when it sends none."""
    chunks: Iterator[bytes]
    """The bytes, as they come. Ends early when the connection does."""


class RemoteBlob(Protocol):
    """Bytes that lie elsewhere, with the digest and size they must have."""

    @property
    def digest(self) -> str:
        """What the bytes must hash to."""

    @property
    def size(self) -> int:
        """How many they must be, as the manifest says."""

    def read(
        self, start: int, end: int | None = None
    ) -> AbstractContextManager[RangeReply]:
        """Open the bytes from ``start`` to ``end``, which is not included.

        Safe to call from several threads. One call is one request: whoever wants
        a retry calls again. Leaving the block ends the transfer.

        Args:
            start: First byte, counted from 0.
            end: Where to stop; None: at the blob's end.

        Raises:
            RegistryError: the server refuses, fails or cannot be reached, when the
                block is entered or between chunks; ``retryable`` says whether
                asking again may help.
            DigestMismatch: the server says that it has other bytes: another size,
                or a range that was not asked for.
        """
