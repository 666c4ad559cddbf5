"""What the store hands out about its models."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from localkit.gguf import read_info

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from localkit.gguf.info import ModelInfo
    from localkit.store.manifest import Manifest
    from localkit.store.ref import ModelRef

# Licence texts are a few KiB; nobody reads more.
_MAX_LICENCE_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class Listing:
    """One line of `Store.list`."""

    ref: ModelRef
    digest: str
    """Of the manifest."""
    size: int
    """Bytes of weights, config and the rest; 0 when the manifest is unreadable."""
    modified: datetime
    """When the ref was last written, UTC."""
    damaged: str | None
    """Why the model cannot be used and how to repair it; None when it can."""


# No slots: cached_property keeps its value in __dict__.
@dataclass(frozen=True)
class StoredModel:
    """A model of the store whose weights may be loaded."""

    ref: ModelRef
    digest: str
    """Of the manifest: equal means the same model in every part."""
    manifest: Manifest
    weights: Path
    """The GGUF file. It is the store's: never write to it."""
    weights_digest: str
    licence_files: tuple[Path, ...]
    projector: Path | None = None
    """What turns images into embeddings for it, where the manifest names one."""

    @cached_property
    def info(self) -> ModelInfo:
        """What the header of the weights says, read at the first use.

        Raises:
            GGUFError: the weights are not a GGUF that can be read.
        """
        info = read_info(self.weights)
        # A file without a name of its own is called after the file: a digest.
        if info.name == self.weights.stem:
            return dataclasses.replace(info, name=self.ref.model)
        return info

    @cached_property
    def licence(self) -> str | None:
        """Licence texts or names stored with the model, else the header's."""
        texts = []
        for path in self.licence_files:
            with path.open("rb") as stream:
                texts.append(stream.read(_MAX_LICENCE_SIZE).decode(errors="replace"))
        return "\n\n".join(texts) or self.info.licence
