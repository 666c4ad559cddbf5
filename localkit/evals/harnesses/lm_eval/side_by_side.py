"""Work of lm-eval's requests, several at once, with its progress."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from localkit.asking.many import SideBySide
from localkit.errors import Cancelled
from localkit.events import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localkit.asking.many import Work
    from localkit.events import CancelToken, OnProgress
    from localkit.runtime.protocol import Session

T = TypeVar("T")


def each_ended(
    works: Sequence[Work[T]],
    session: Session,
    *,
    step: str,
    on_progress: OnProgress | None,
    quiet: bool,
    cancel: CancelToken | None,
) -> Iterator[tuple[int, T]]:
    """Yield the place and value of each as it ends.

    The first error stops the others and is raised. Without ``on_progress`` and unless
    ``quiet``, a bar on standard error says how far it is, as lm-eval's own models do.
    """
    bar = tqdm(total=len(works), desc=step, disable=quiet or on_progress is not None)
    with bar, closing(SideBySide(works, session, cancel=cancel)) as asked:
        for n_done, place in enumerate(_places(asked), start=1):
            outcome = asked.outcomes[place]
            if outcome is None or (cancel is not None and cancel.cancelled):
                msg = f"the {step} were stopped"
                raise Cancelled(msg)
            if outcome.error is not None:
                raise outcome.error
            yield place, outcome.value  # type: ignore[misc] # no error: a value
            bar.update()
            if on_progress is not None:
                on_progress(Progress(step, n_done, len(works), "requests"))


def _places(asked: SideBySide[Any]) -> Iterator[int]:
    """Yield the place of each that ends; what it says is not read."""
    yield from (event for event in asked if isinstance(event, int))
