"""How hard a blob is pulled, and when to give up."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1 << 20

SMALLEST_PART = 8 * _MIB
LARGEST_PART = 64 * _MIB

# All streams together may lose this much of what they wrote when they are killed.
_UNNOTED = 2 * _MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of one download; tests set smaller ones."""

    n_streams: int = 4
    """Connections at a time."""
    part_size: int | None = None
    """Bytes of one request; default: by the size of the blob."""
    stall_s: float = 30.0
    """A connection that brings nothing for so long is given up; Ollama's number."""
    n_tries: int = 6
    """Failures in a row, without a byte in between, after which a part has failed."""
    first_wait_s: float = 0.1
    """Wait before the second try; doubled for each next one."""
    longest_wait_s: float = 10.0
    longest_asked_s: float = 60.0
    """Longest wait that a server may ask for (``Retry-After``) before it has failed."""
    takeover_s: float = 60.0
    """Whoever waits for another process's download gives up when that has shown no
    sign of life for so long."""

    @property
    def note_every(self) -> int:
        """Bytes of one stream after which the journal is told."""
        return min(512 << 10, _UNNOTED // self.n_streams)

    def part_size_of(self, size: int) -> int:
        """Return the bytes of one request for a blob of ``size``.

        The hash follows the first gap, so it ends at most one part a stream after
        the last byte; a part that is too small costs a request for little.
        """
        if self.part_size is not None:
            return self.part_size
        wanted = size // (self.n_streams * 16)
        return min(LARGEST_PART, max(SMALLEST_PART, -(-wanted // _MIB) * _MIB))
