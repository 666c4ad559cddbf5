"""What the scheduler computes: one sequence of tokens at a time, in slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from localkit.events import CancelToken
    from localkit.runtime.engine.context import Context
    from localkit.runtime.params import ServeParams
    from localkit.runtime.vision.vision import Media


class Outputs:
    """Logits of one job's tokens in the last decode, in order of position."""

    def __init__(
        self,
        context: Context,
        rows: NDArray[np.float32],
        indices: Sequence[int],
        *,
        drawn: int | None = None,
    ) -> None:
        """Hold views, valid until the next decode.

        Args:
            context: Where the logits lie.
            rows: Shape (n_outputs, n_vocab).
            indices: Where each row's token stood in the batch.
            drawn: What the job's samplers drew from the only row already.
        """
        self._context = context
        self._indices = indices
        self._drawn = drawn
        self.rows = rows

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._indices)

    def sample(self, chain: Any, row: int) -> int:
        """Return a token drawn from ``row`` by a chain of samplers."""
        if self._drawn is not None:
            return self._drawn
        return self._context.sample(chain, self._indices[row])


class Job(Protocol):
    """A sequence in the making. Owner thread only, but for `cancel`."""

    number: int
    """Place in the order of requests."""
    serve: ServeParams
    tokens: list[int]
    """The sequence as far as it is known; what is not in the KV cache is computed."""
    first_output: int
    """Position from which on logits are wanted."""
    ended: bool
    grows: bool
    """Whether `tokens` only ever gets longer, at its end."""

    @property
    def media(self) -> Mapping[int, Media]:
        """Images in `tokens`, by the position they begin at."""

    @property
    def chain(self) -> Any | None:
        """Samplers that alone choose the next token, if there are such."""

    @property
    def cancel(self) -> CancelToken:
        """Raised by whoever wants it no more."""

    def start(self, n_reused: int) -> None:
        """Learn that it is in a slot; ``n_reused`` tokens need no computing."""

    def draft(self, room: int) -> Sequence[int]:
        """Return up to ``room`` guesses of what follows `tokens`; may be none."""

    def take(self, outputs: Outputs) -> None:
        """Use the logits that were wanted: append tokens, or end."""

    def finish(self, error: BaseException | None = None) -> None:
        """Hand over what there is; with ``error`` when the job failed."""


def order(job: Job) -> tuple[bool, int]:
    """Return what jobs are sorted by: interactive first, then by age."""
    return job.serve.priority == "bulk", job.number
