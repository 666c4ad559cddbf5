"""Guessing tokens ahead, so that one decode verifies several.

A guess costs little where decode is bound by memory; a right one saves a decode.
The model still chooses every token, so the answer is what it would be without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

# Longest run of last tokens looked for; shorter ones match more often and worse.
_LONGEST, _SHORTEST = 4, 2


class Drafter(Protocol):
    """Guesses how a sequence goes on."""

    def propose(self, tokens: Sequence[int], most: int) -> Sequence[int]:
        """Return at most ``most`` tokens to follow ``tokens``; may be none."""


class PromptLookup:
    """Guess that what followed the last tokens before follows them again.

    Saxena, "Prompt Lookup Decoding", 2023. Good where answers quote the prompt:
    edits, summaries, extraction.
    """

    def __init__(self) -> None:
        """Start without a sequence."""
        self._ends: dict[tuple[int, ...], int] = {}
        self._n_seen = 0

    def propose(self, tokens: Sequence[int], most: int) -> Sequence[int]:
        """Return what followed the longest earlier run of the last tokens."""
        if len(tokens) < self._n_seen:  # a context shift: start over
            self._ends.clear()
            self._n_seen = 0
        # Runs that end before the last token: the last one has no follower yet.
        for end in range(max(self._n_seen, 1), len(tokens)):
            for length in range(_SHORTEST, _LONGEST + 1):
                if length <= end:
                    self._ends[tuple(tokens[end - length : end])] = end
        self._n_seen = max(self._n_seen, len(tokens))
        for length in range(_LONGEST, _SHORTEST - 1, -1):
            found = self._ends.get(tuple(tokens[-length:]))
            if found is not None:
                return tokens[found : found + most]
        return ()
