"""What a GGUF holds: a model, a part of one, an adapter, a projector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from localkit.gguf.reader import Header

Kind = Literal["model", "part", "adapter", "projector"]


def kind_of(header: Header) -> Kind:
    """Return what the file of ``header`` says that it is.

    A vocabulary or an importance matrix counts as a model here;
    `localkit.gguf.preflight` says what they are when it refuses them.
    """
    n_parts = header.kv.get("split.count")
    # A model of one part is whole; llama.cpp's merged files say 0.
    if isinstance(n_parts, int) and n_parts > 1:
        return "part"
    if header.kv.get("general.type") == "adapter":
        return "adapter"
    if header.kv.get("general.architecture") == "clip":
        return "projector"
    return "model"
