"""The ref of a file that nobody named."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from localkit.errors import RefError
from localkit.gguf.types import FILE_TYPES
from localkit.store.ref import ModelRef

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.gguf.info import ModelInfo

_QUANT_ENDING = re.compile(
    rf"(^|[-_. ])({'|'.join(map(re.escape, FILE_TYPES.values()))})$", re.IGNORECASE
)
_LONGEST = 80


def default_ref(path: Path, info: ModelInfo) -> ModelRef:
    """Name a model after its file, and its tag after the quant in the header.

    ``SmolLM2-135M-Instruct.Q4_1.gguf`` becomes
    ``smollm2-135m-instruct:q4_1``. Where the file name holds nothing but a
    quant, the name in the header is taken.
    """
    stem = re.sub(r"\.gguf$", "", path.name, flags=re.IGNORECASE)
    for candidate in (_QUANT_ENDING.sub("", stem), info.name, "model"):
        name = part_of_ref(candidate)
        if name:
            break
    return ModelRef(model=name, tag=quant_tag(info))


def quant_tag(info: ModelInfo) -> str:
    """Return the tag for a model of this quant: ``q4_k_m``."""
    return part_of_ref(info.quant) or "latest"


def part_of_ref(text: str) -> str:
    """Return ``text`` as one part of a ref, or nothing when too little is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9_.-]+", "-", plain.lower())
    name = re.sub(r"-{2,}", "-", name)[:_LONGEST].strip("-.")
    try:
        return ModelRef(model=name).model
    except RefError:
        return ""
