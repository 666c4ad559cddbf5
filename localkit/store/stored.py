"""What the store hands out about its models."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from localkit.store.config_blob import StoredConfig, read_config
from localkit.store.headers import header_info
from localkit.store.layers import read_bytes, read_json, read_text
from localkit.store.manifest import (
    LICENCE_TYPE,
    MESSAGES_TYPE,
    OLD_TEMPLATE_TYPE,
    PARAMS_TYPE,
    SYSTEM_TYPE,
    TEMPLATE_TYPE,
    damaged,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from localkit.gguf.info import ModelInfo
    from localkit.store.layout import Layout
    from localkit.store.manifest import Layer, Manifest
    from localkit.store.ref import ModelRef

_MAX_MESSAGES = 10_000


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
    quant: str = ""
    """Label in the config; empty where it says none, or cannot be read."""


# No slots: cached_property keeps its value in __dict__.
@dataclass(frozen=True)
class StoredModel:
    """A model of the store whose weights may be loaded.

    What its small layers say is read at the first use; every such property raises
    `ManifestInvalid` when the layer is missing or does not hold what it must, and
    `BlobCorrupt` when its bytes are not those that the manifest names.
    """

    ref: ModelRef
    digest: str
    """Of the manifest: equal means the same model in every part."""
    manifest: Manifest
    weights: Path
    """The GGUF file. It is the store's: never write to it."""
    weights_digest: str
    layout: Layout = field(repr=False, compare=False)
    """The store that it lies in."""
    projector: Path | None = None
    """What turns images into embeddings for it, where the manifest names one."""
    adapters: tuple[Path, ...] = ()
    """LoRA adapters that are a part of it."""
    draft: Path | None = None
    """Smaller model that guesses tokens ahead for it."""

    @cached_property
    def info(self) -> ModelInfo:
        """What the header of the weights says, read at the first use.

        Raises:
            GGUFError: the weights are not a GGUF that can be read.
        """
        info = header_info(self.layout, self.weights_digest)
        # A file without a name of its own is called after the file: a digest.
        if info.name == self.weights.stem:
            return dataclasses.replace(info, name=self.ref.model)
        return info

    @cached_property
    def config(self) -> StoredConfig:
        """What the config blob says, as far as it can be read."""
        data = read_bytes(self.layout, self.manifest.config, ref=str(self.ref))
        try:
            return read_config(data)
        except ValueError as error:
            raise self._damaged("its config is not a JSON object") from error

    @cached_property
    def template(self) -> str | None:
        """The Go template that the model carries beside its weights' own."""
        layer = self._last(TEMPLATE_TYPE, OLD_TEMPLATE_TYPE)
        return None if layer is None else self._text(layer)

    @cached_property
    def system(self) -> str | None:
        """The instructions to use where a conversation brings none."""
        layer = self._last(SYSTEM_TYPE)
        return None if layer is None else self._text(layer)

    @cached_property
    def params(self) -> Mapping[str, Any]:
        """Parameters by the names that Ollama gives them, as they are stored."""
        layer = self._last(PARAMS_TYPE)
        if layer is None:
            return MappingProxyType({})
        found = read_json(self.layout, layer, ref=str(self.ref))
        if found is None:  # Go's way to write an empty map
            return MappingProxyType({})
        if not isinstance(found, dict):
            raise self._damaged("its parameters are not a JSON object")
        return MappingProxyType(found)

    @cached_property
    def messages(self) -> tuple[Mapping[str, str], ...]:
        """What stands before every conversation: ``role`` and ``content`` each."""
        layer = self._last(MESSAGES_TYPE)
        if layer is None:
            return ()
        found = read_json(self.layout, layer, ref=str(self.ref))
        found = [] if found is None else found
        if not isinstance(found, list) or len(found) > _MAX_MESSAGES:
            raise self._damaged("its messages are not a JSON list")
        messages = []
        for one in found:
            role, content = (
                one.get(key) if isinstance(one, dict) else None
                for key in ("role", "content")
            )
            if not isinstance(role, str) or not isinstance(content, str):
                raise self._damaged("one of its messages has no role or no content")
            messages.append(MappingProxyType({"role": role, "content": content}))
        return tuple(messages)

    @cached_property
    def licences(self) -> tuple[str, ...]:
        """Licence texts or names that are stored beside the weights."""
        return tuple(map(self._text, self.manifest.of_type(LICENCE_TYPE)))

    @cached_property
    def licence(self) -> str | None:
        """Licence texts or names stored with the model, else the header's."""
        return "\n\n".join(self.licences) or self.info.licence

    def _last(self, *media_types: str) -> Layer | None:
        """Return the last layer of these kinds: it counts, as in Ollama."""
        layers = self.manifest.layers or ()
        found = [layer for layer in layers if layer.media_type in media_types]
        return found[-1] if found else None

    def _text(self, layer: Layer) -> str:
        return read_text(self.layout, layer, ref=str(self.ref))

    def _damaged(self, what: str) -> Exception:
        return damaged(str(self.ref), what)
