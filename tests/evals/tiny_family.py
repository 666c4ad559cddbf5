"""A store with one tiny model in several quants: labels are real, weights random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.config import Settings
from localkit.gguf.types import file_type_id
from localkit.kit import Kit
from localkit.runtime.fake import FakeRuntime
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOISE = {"Q8_0": 0.02, "Q4_0": 0.3, "Q2_K": 1.5}
"""What each fake quant adds to the logits: more than the one before."""


def tiny_kit(
    folder: Path, quants: Mapping[str, str] | None = None, **metadata: object
) -> Kit:
    """Return a kit whose store holds ``tiny`` under a tag for each quant label."""
    tags = quants or {"f16": "F16", "q8_0": "Q8_0", "q4_0": "Q4_0", "q2_k": "Q2_K"}
    folder.mkdir(parents=True, exist_ok=True)
    kit = Kit(Settings(home=folder / "home"), runtime=FakeRuntime(noise=NOISE))
    for seed, (tag, quant) in enumerate(tags.items()):
        add_tiny(kit, folder, f"tiny:{tag}", quant, seed=seed, **metadata)
    return kit


def add_tiny(
    kit: Kit, folder: Path, ref: str, quant: str, *, seed: int = 0, **changes: object
) -> None:
    """Add one more model file."""
    metadata = {"general.file_type": file_type_id(quant)} | {
        key.replace("__", "."): value for key, value in changes.items()
    }
    path = folder / f"{ref.replace(':', '-')}.gguf"
    write_tiny_llama(path, seed=seed, metadata=metadata)
    kit.store.add(path, ref)
