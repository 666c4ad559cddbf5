"""What a model is made of: the value that a Modelfile, keywords or a request become."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localkit.store.stored import StoredModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localkit.store.taking import Source


@dataclass(frozen=True, slots=True)
class Recipe:
    """Weights and what goes with them.

    What is None or empty is inherited from the base, where there is one. An empty
    text for ``template`` or ``system`` takes the base's away.
    """

    weights: Path | str | StoredModel
    """GGUF file, digest of a stored blob, or the model of the store to start from."""
    base: StoredModel | None = None
    """Whose other layers to inherit, where ``weights`` is a file: a copy of another
    quant, say. The weights' own otherwise."""
    projectors: tuple[Source, ...] = ()
    """Take the place of the base's."""
    adapters: tuple[Source, ...] = ()
    """LoRA adapters in GGUF; put after the base's."""
    draft: Source | None = None
    template: str | None = None
    """Go template."""
    system: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    """By Ollama's names; each takes the place of the base's."""
    messages: tuple[Mapping[str, str], ...] = ()
    """``role`` and ``content`` each; take the place of the base's."""
    licences: tuple[str, ...] = ()
    """Texts or names; put after the base's."""
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None
    """Oldest Ollama that can run it."""
    notes: tuple[str, ...] = ()
    """What whoever wrote the recipe should be told."""

    @property
    def inherits_from(self) -> StoredModel | None:
        """The model whose layers are taken over."""
        return self.weights if isinstance(self.weights, StoredModel) else self.base
