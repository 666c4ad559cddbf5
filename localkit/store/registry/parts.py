"""A blob as parts that are asked for one by one, each filled from its start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parts:
    """A blob cut into parts of one size; the last may be shorter."""

    size: int
    """Bytes of the blob."""
    part_size: int
    """Bytes of a part, at least 1."""

    def __len__(self) -> int:
        """Return how many parts there are."""
        return -(-self.size // self.part_size)

    def start(self, part: int) -> int:
        """Return where a part begins in the blob."""
        return part * self.part_size

    def length(self, part: int) -> int:
        """Return the bytes of a part."""
        return min(self.part_size, self.size - self.start(part))

    def within(self, filled: list[int], present: int) -> list[int]:
        """Return ``filled`` without what a file of ``present`` bytes cannot have."""
        return [
            max(0, min(n, self.length(part), present - self.start(part)))
            for part, n in enumerate(filled)
        ]
