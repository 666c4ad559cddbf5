"""What a pull did, wherever the model came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localkit.choosing.weighing import Weighing
    from localkit.store.stored import StoredModel


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that was brought into the store."""

    model: StoredModel
    source: str
    """Where it came from, so that the same can be pulled again."""
    method: str
    """How the weights came: ``hardlink``, ``reflink``, ``copy``, ``merged``,
    ``present`` when the store had them, ``download``."""
    size: int
    """Bytes of the weights."""
    downloaded: int
    """Bytes that came over the network; 0 when nothing had to."""
    seconds: float
    weighing: Weighing | None = None
    """What was weighed, where no quant was named."""
    notes: tuple[str, ...] = ()
    """What was left out or had no effect, and why."""
    detail: Any = None
    """The receipt of the source itself."""
