"""Manifests: the JSON list of a model's layers, as Ollama writes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
)

from localkit.errors import ManifestInvalid
from localkit.store.digest import is_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SIZE = 4 << 20
"""Bytes a manifest may have."""
MAX_DEPTH = 16
"""How deep its JSON may nest."""
MAX_BLOB_SIZE = 1 << 50
"""Bytes a layer may claim."""

MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_READABLE = frozenset({MEDIA_TYPE, "application/vnd.oci.image.manifest.v1+json"})
_LIST_OF_VARIANTS = "application/vnd.ollama.manifest.list.v2+json"

CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYER_TYPE = "application/vnd.ollama.image."
MODEL_TYPE = f"{_LAYER_TYPE}model"
LICENCE_TYPE = f"{_LAYER_TYPE}license"
PROJECTOR_TYPE = f"{_LAYER_TYPE}projector"
ADAPTER_TYPE = f"{_LAYER_TYPE}adapter"
DRAFT_TYPE = f"{_LAYER_TYPE}draft"
TEMPLATE_TYPE = f"{_LAYER_TYPE}template"
OLD_TEMPLATE_TYPE = f"{_LAYER_TYPE}prompt"
TEMPLATE_TYPES = (TEMPLATE_TYPE, OLD_TEMPLATE_TYPE)
SYSTEM_TYPE = f"{_LAYER_TYPE}system"
PARAMS_TYPE = f"{_LAYER_TYPE}params"
MESSAGES_TYPE = f"{_LAYER_TYPE}messages"


def _checked_digest(text: str) -> str:
    if not is_digest(text):
        raise ValueError("not a digest")
    return text


Digest = Annotated[str, AfterValidator(_checked_digest)]


class Layer(BaseModel):
    """One part of a model: what kind of bytes, which, how many.

    Field names are those on disk, in the order in which Ollama writes them.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    media_type: Annotated[str, Field(alias="mediaType", max_length=255)]
    """Kind of bytes: `MODEL_TYPE`, `LICENCE_TYPE`, …"""
    digest: Digest
    """Which bytes: the name of the blob that holds them."""
    size: Annotated[StrictInt, Field(ge=0, le=MAX_BLOB_SIZE)]
    """How many."""
    from_: Annotated[str | None, Field(alias="from", max_length=1024)] = None
    """Ref the layer was taken from, when Ollama made it from another model."""
    name: Annotated[str | None, Field(max_length=1024)] = None
    """Name of a tensor or file, in models that are kept in many layers."""


class Manifest(BaseModel):
    """What a ref stands for: a config and layers."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    schema_version: Annotated[StrictInt, Field(alias="schemaVersion", ge=2, le=2)] = 2
    """Always 2."""
    media_type: Annotated[str, Field(alias="mediaType", max_length=255)] = MEDIA_TYPE
    """What this document is: `MEDIA_TYPE`."""
    config: Layer
    """The blob that describes the model, see `localkit.store.config_blob`."""
    layers: tuple[Layer, ...] | None = ()
    """The parts. Ollama writes null for a model that runs elsewhere."""

    def of_type(self, media_type: str) -> list[Layer]:
        """Return the layers of one kind."""
        return [layer for layer in self.layers or () if layer.media_type == media_type]

    def blobs(self) -> Iterator[Layer]:
        """Yield config and layers, each digest once."""
        seen = set()
        for layer in (self.config, *(self.layers or ())):
            if layer.digest not in seen:
                seen.add(layer.digest)
                yield layer

    @property
    def has_own_template(self) -> bool:
        """Whether its template was written over weights of another model.

        Layers that a new model took from its base name the base (``from``), in
        Ollama's stores as in ours.
        """
        weights = self.of_type(MODEL_TYPE)
        templates = [
            layer for layer in self.layers or () if layer.media_type in TEMPLATE_TYPES
        ]
        if not weights or not templates:
            return False
        return weights[-1].from_ is not None and templates[-1].from_ is None

    @property
    def size(self) -> int:
        """Bytes of everything the manifest names, counted once."""
        return sum(layer.size for layer in self.blobs())

    def encode(self) -> bytes:
        """Return the bytes to write: compact, with a line end, as Ollama's."""
        document = self.model_dump(by_alias=True, exclude_none=True)
        return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def parse_manifest(data: bytes, *, name: str) -> Manifest:
    """Read a manifest that may be torn, hostile or of another program.

    Args:
        data: Its bytes.
        name: The ref, for messages.

    Raises:
        ManifestInvalid: says what is wrong and how to repair it.
    """
    if not data.strip():
        raise damaged(name, "its manifest is empty")
    if len(data) > MAX_SIZE:
        raise damaged(name, f"its manifest is larger than {MAX_SIZE >> 20} MiB")
    try:
        document = json.loads(
            data, object_pairs_hook=_unique_keys, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        reason = "nests too deep" if isinstance(error, RecursionError) else str(error)
        raise damaged(name, f"its manifest is not JSON: {reason}") from error
    if _depth(document) > MAX_DEPTH:
        raise damaged(name, f"its manifest nests deeper than {MAX_DEPTH}")
    media_type = document.get("mediaType") if isinstance(document, dict) else None
    if media_type == _LIST_OF_VARIANTS:
        raise ManifestInvalid(
            f"model '{name}' is a list of variants, which only Ollama can choose from",
            hint="pull or add one variant under a name of its own",
        )
    try:
        manifest = Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "manifest"
        raise damaged(
            name, f"its manifest is wrong: {place}: {first['msg']}"
        ) from error
    if manifest.media_type not in _READABLE:
        raise damaged(name, f"its manifest is a '{manifest.media_type[:80]}'")
    return manifest


def damaged(name: str, what: str) -> ManifestInvalid:
    """Return the error that says ``what`` is wrong, with the repair."""
    return ManifestInvalid(
        f"model '{name}' is damaged: {what}",
        hint=f"`localkit rm {name}`, then pull or add it again",
    )


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that comes twice: readers would disagree on which counts."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key comes twice")
    return document


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _depth(document: Any) -> int:
    """Return how deep ``document`` nests, without recursion."""
    depth, level = 0, [document]
    while level:
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
        depth, level = depth + 1, inner
    return depth
