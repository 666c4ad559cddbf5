"""One of several quants that could be taken, before it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from localkit.gguf.info import TypeShare
from localkit.gguf.types import nominal_bits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localkit.gguf.info import ModelInfo


@dataclass(frozen=True, slots=True)
class Offer:
    """A quant that is offered, and what is known of it."""

    label: str
    """What to name it by: ``Q4_K_M``, a tag, a file."""
    size: int
    """Bytes of its weights as files."""
    quant: str = ""
    """Quant as its maker names it, where `label` is a tag or a file."""
    info: ModelInfo | None = None
    """What its header says, or what the header of another quant of the same model
    says with this one's size; None when neither could be read."""
    trouble: str = ""
    """Why `info` is None."""
    read: Callable[[], ModelInfo] | None = field(default=None, compare=False)
    """Reads its own header, where `info` came of another's."""
    projector: Path | None = None
    """Header of the projector that comes with it."""

    @property
    def bits(self) -> int:
        """Bits that the quant is named after: 4 of ``Q4_K_M``; 0 when unknown."""
        return nominal_bits(self.quant or self.label)

    @property
    def bits_per_weight(self) -> float | None:
        """Bits per weight; None where they are unknown."""
        return self.info.bits_per_weight if self.info else None


def derived(known: ModelInfo, label: str, size: int, path: Path) -> ModelInfo:
    """Return what ``known`` says of its model, for a quant of ``size`` bytes.

    Shapes, vocabulary and training context are the model's; only the weights differ.
    What a file holds besides them is the same in both.

    Args:
        known: Read from the header of one quant.
        label: The other one.
        size: Bytes of its file.
        path: Where its own header would lie; there is no file.
    """
    n_bytes = max(0, size - (known.file_size - known.weights_size))
    n_tensors = sum(share.n_tensors for share in known.type_mix)
    share = TypeShare(label, n_tensors, known.n_params, n_bytes)
    return replace(
        known,
        path=path,
        file_size=size,
        quant=label,
        type_mix=(share,),
        bits_per_weight=8 * n_bytes / known.n_params if known.n_params else 0.0,
        lossy_origin=None,
    )
