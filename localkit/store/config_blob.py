"""The config blob of a model: what Ollama shows without opening the weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from localkit.gguf.info import ModelInfo


class RootFS(BaseModel):
    """The layers again, as container images list them."""

    model_config = ConfigDict(frozen=True)

    type: Literal["layers"] = "layers"
    diff_ids: tuple[str, ...]
    """Digests of the manifest's layers, in order."""


class ConfigBlob(BaseModel):
    """The fields of Ollama's ``types/model/config.go`` that an added GGUF has.

    Field names and their order are those on disk.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_format: Literal["gguf"] = "gguf"
    model_family: str
    """``general.architecture``: ``llama``."""
    model_families: tuple[str, ...]
    """The same, as a list."""
    model_type: str
    """Number of weights for people: ``134.52M``."""
    file_type: str
    """Quant label: ``Q4_K_M``."""
    context_length: int
    """Training context in tokens; 0 when the file does not say."""
    embedding_length: int
    """Width of the hidden state."""
    architecture: Literal["amd64"] = "amd64"
    """A constant of the format, whatever the machine."""
    os: Literal["linux"] = "linux"
    """A constant of the format, whatever the machine."""
    rootfs: RootFS

    def encode(self) -> bytes:
        """Return the bytes to write."""
        return json.dumps(self.model_dump(mode="json"), separators=(",", ":")).encode()


def config_of(info: ModelInfo, layer_digests: tuple[str, ...]) -> ConfigBlob:
    """Describe a GGUF whose layers have ``layer_digests``."""
    return ConfigBlob(
        model_family=info.architecture,
        model_families=(info.architecture,),
        model_type=_parameter_size(info.n_params),
        file_type=info.quant,
        context_length=info.n_ctx_train,
        embedding_length=info.n_embd,
        rootfs=RootFS(diff_ids=layer_digests),
    )


def _parameter_size(n_params: int) -> str:
    """Return ``8.0B``, ``134.52M``: digits as Ollama's ``format.HumanNumber``."""
    if n_params < 1_000:
        return str(n_params)
    if n_params < 1_000_000:
        return f"{n_params / 1_000:.0f}K"
    unit, letter, digits = (
        (1_000_000_000, "B", 1) if n_params >= 1_000_000_000 else (1_000_000, "M", 2)
    )
    return f"{n_params / unit:.{0 if n_params % unit == 0 else digits}f}{letter}"
