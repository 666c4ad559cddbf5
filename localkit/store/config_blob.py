"""The config blob of a model: what Ollama shows without opening the weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

if TYPE_CHECKING:
    from localkit.gguf.info import ModelInfo


class RootFS(BaseModel):
    """The layers again, as container images list them."""

    model_config = ConfigDict(frozen=True)

    type: Literal["layers"] = "layers"
    diff_ids: tuple[str, ...]
    """Digests of the manifest's layers, in order."""


class Draft(BaseModel):
    """What the draft layer holds."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_format: Literal["gguf"] = "gguf"
    architecture: str


class ConfigBlob(BaseModel):
    """The fields of Ollama's ``types/model/config.go`` that a GGUF has.

    Field names and their order are those on disk; what is None is left out.
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
    lossy_origin: str | None = None
    """Ours: the quant that the weights were expanded or requantized from."""
    renderer: str | None = None
    """Name of an Ollama program that writes the prompt in place of a template."""
    parser: str | None = None
    """Name of an Ollama program that reads the answer."""
    requires: str | None = None
    """Oldest Ollama that can run the model: ``0.14.0``."""
    capabilities: tuple[str, ...] | None = None
    """What whoever made the model says that it can do."""
    context_length: int
    """Training context in tokens; 0 when the file does not say."""
    embedding_length: int
    """Width of the hidden state."""
    draft: Draft | None = None
    """What the draft layer holds, where there is one."""
    architecture: Literal["amd64"] = "amd64"
    """A constant of the format, whatever the machine."""
    os: Literal["linux"] = "linux"
    """A constant of the format, whatever the machine."""
    rootfs: RootFS

    def encode(self) -> bytes:
        """Return the bytes to write."""
        document = self.model_dump(mode="json", exclude_none=True)
        return json.dumps(document, separators=(",", ":")).encode()


def config_of(
    info: ModelInfo, layer_digests: tuple[str, ...], **more: Any
) -> ConfigBlob:
    """Describe a GGUF whose layers have ``layer_digests``; ``more`` are fields."""
    return ConfigBlob(
        model_family=info.architecture,
        model_families=(info.architecture,),
        model_type=_parameter_size(info.n_params),
        file_type=info.quant,
        lossy_origin=info.lossy_origin,
        context_length=info.n_ctx_train,
        embedding_length=info.n_embd,
        rootfs=RootFS(diff_ids=layer_digests),
        **more,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else ()
    return tuple(item for item in items if isinstance(item, str))


_Text = Annotated[str, BeforeValidator(_text)]
_Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class StoredConfig(BaseModel):
    """What the config blob of any model says; empty where it says nothing.

    Lenient, because every version of Ollama writes other fields: one of another
    kind counts as not said. Nothing here decides what is loaded.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_format: _Text = ""
    """``gguf`` or ``safetensors``."""
    model_family: _Text = ""
    model_families: _Texts = ()
    model_type: _Text = ""
    """Number of weights for people."""
    file_type: _Text = ""
    """Quant label."""
    renderer: _Text = ""
    """Name of an Ollama program that writes the prompt in place of a template."""
    parser: _Text = ""
    """Name of an Ollama program that reads the answer."""
    requires: _Text = ""
    """Oldest Ollama that can run the model."""
    remote_host: _Text = ""
    """Where the model runs when it runs elsewhere."""
    remote_model: _Text = ""
    capabilities: _Texts = ()
    """What whoever made the model says that it can do."""
    base_name: _Text = ""


def read_config(data: bytes) -> StoredConfig:
    """Return what a config blob says.

    Raises:
        ValueError: it is no JSON object.
    """
    try:
        return StoredConfig.model_validate(json.loads(data))
    except (ValidationError, RecursionError) as error:
        raise ValueError("no JSON object") from error


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
