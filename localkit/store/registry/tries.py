"""How often something may fail in a row, and how long to wait in between."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localkit.store.registry.limits import Limits


class Tries:
    """A budget that a success fills again."""

    def __init__(self, limits: Limits) -> None:
        """Start with the full budget."""
        self._limits = limits
        self._n_failures = 0

    def reset(self) -> None:
        """Fill the budget: something was achieved."""
        self._n_failures = 0

    def failed(self, error: Exception) -> float:
        """Count a failure; return the seconds to wait before the next try.

        Raises:
            Exception: ``error``, when that was the last try, or the wait it asks for
                is too long.
        """
        self._n_failures += 1
        asked_s = float(getattr(error, "retry_after_s", None) or 0.0)
        if (
            self._n_failures >= self._limits.n_tries
            or asked_s > self._limits.longest_asked_s
        ):
            raise error
        longest_s = self._limits.longest_wait_s
        wait_s = self._limits.first_wait_s * 2.0 ** (self._n_failures - 1)
        # Jitter: streams that failed together do not come back together.
        jitter = random.uniform(0.5, 1.0)  # noqa: S311
        return max(min(wait_s, longest_s) * jitter, asked_s)
