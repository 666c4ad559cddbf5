"""Whether a LoRA adapter belongs to a model, told by both headers.

llama.cpp looks at the same when it loads them (``src/llama-adapter.cpp``): each pair
``X.lora_a``, ``X.lora_b`` changes the model's tensor ``X`` and has its outer
dimensions. Here it is said before anything is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.errors import AdapterInvalid
from localkit.gguf import read_header

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.stored import StoredModel

_HINT = "take an adapter made for this very model"
# Their A is stored transposed, and llama.cpp reads it so.
_TRANSPOSED = "token_embd.weight"


def check_belongs(adapter: Path, base: StoredModel) -> None:
    """Check that an adapter changes tensors that a model has.

    Raises:
        AdapterInvalid: it is for another architecture, or for other shapes; names
            the tensor.
        GGUFError: it is no GGUF.
    """
    header = read_header(adapter)
    made_for = header.kv.get("general.architecture")
    if made_for != base.info.architecture:
        raise AdapterInvalid(
            f"{adapter.name} is an adapter for {made_for!r}, "
            f"and {base.ref} is '{base.info.architecture}'",
            hint=_HINT,
        )
    tensors = {one.name: one.shape for one in read_header(base.weights).tensors}
    pairs: dict[str, dict[str, tuple[int, ...]]] = {}
    for tensor in header.tensors:
        name, dot, half = tensor.name.rpartition(".")
        if dot and half in {"lora_a", "lora_b"}:
            pairs.setdefault(name, {})[half] = tensor.shape
    if not pairs:
        raise AdapterInvalid(
            f"{adapter.name} holds no LoRA tensors",
            hint="only LoRA adapters are supported",
        )
    for name, pair in pairs.items():
        if name not in tensors:
            raise AdapterInvalid(
                f"{adapter.name} changes the tensor {name}, which {base.ref} lacks",
                hint=_HINT,
            )
        if name != _TRANSPOSED and not _fits(tensors[name], pair):
            raise AdapterInvalid(
                f"{adapter.name} changes {name} in shapes {sorted(pair.items())}, "
                f"and {base.ref} has it as {tensors[name]}",
                hint=_HINT,
            )


def _fits(shape: tuple[int, ...], pair: dict[str, tuple[int, ...]]) -> bool:
    """Return whether A takes a row of the tensor in and B gives a column out."""
    a, b = pair.get("lora_a", ()), pair.get("lora_b", ())
    return (
        len(shape) > 1
        and len(a) == len(b) == len(shape)
        and a[0] == shape[0]
        and b[1] == shape[1]
        and a[1] == b[0]
    )
