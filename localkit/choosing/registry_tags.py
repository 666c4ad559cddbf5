"""The tags of a registry's model, by what they stand for.

Tags name more than quants: ``latest``, ``8b``, ``8b-q4_k_m`` may be three names of
one file beside another model of another size. So tags of the same weights count
once, and only those of the model that ``latest`` is are chosen from; where there is
no ``latest``, all have to be of one model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from localkit.errors import RegistryError, SourceNotFound, StoreError
from localkit.store.config_blob import StoredConfig, read_config
from localkit.store.manifest import MODEL_TYPE, PROJECTOR_TYPE
from localkit.store.ref import DEFAULT_TAG
from localkit.store.registry import endpoints
from localkit.store.registry.blob import HttpBlob
from localkit.store.registry.manifests import fetch_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.store.manifest import Layer, Manifest
    from localkit.store.ref import ModelRef
    from localkit.store.registry.client import Registry

MOST_TAGS: Final = 64
"""Tags of which the manifests are asked for."""
_MOST_CONFIG: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Tagged:
    """One file of weights, and the tags that name it."""

    tags: tuple[str, ...]
    """The one with the quant in it first."""
    weights: Layer
    projector: Layer | None
    model: tuple[str, str]
    """Architecture and number of weights, as its config says."""
    quant: str

    @property
    def tag(self) -> str:
        """The tag to pull it by."""
        return self.tags[0]


def read_tags(
    registry: Registry, ref: ModelRef
) -> tuple[list[Tagged], tuple[str, ...]]:
    """Return the files of weights that a model's tags name, and notes about others.

    Args:
        registry: Of the ref.
        ref: Which model; with a tag, that one alone.

    Raises:
        RegistryError: the registry lists no tags; or refuses, fails or cannot be
            reached.
        SourceNotFound: it has more tags than are asked for.
    """
    name = endpoints.repository(ref)
    tags = [ref.tag] if ref.tag is not None else registry.tags(name)
    if len(tags) > MOST_TAGS:
        raise SourceNotFound(f"{ref} has {len(tags)} tags", hint="name one of them")
    named: dict[str, list[tuple[str, Manifest]]] = {}
    notes = []
    for tag in tags:
        try:
            manifest = fetch_manifest(registry, ref.with_tag(tag)).manifest
        except RegistryError:
            raise
        except StoreError as error:
            notes.append(f"{tag} is left out: {error}")
            continue
        weights = manifest.of_type(MODEL_TYPE)
        if len(weights) != 1:
            notes.append(f"{tag} is left out: it has {len(weights)} GGUF files")
            continue
        named.setdefault(weights[0].digest, []).append((tag, manifest))
    found = [_tagged(registry, name, group) for group in named.values()]
    return found, tuple(notes)


def of_one_model(
    found: Sequence[Tagged], ref: ModelRef
) -> tuple[list[Tagged], tuple[str, ...]]:
    """Return those of the model that ``latest`` is, and a note about the others.

    Raises:
        SourceNotFound: there is no ``latest``, and they are of several models.
    """
    models = {one.model for one in found}
    if len(models) <= 1:
        return list(found), ()
    latest = [one for one in found if DEFAULT_TAG in one.tags]
    if not latest:
        raise SourceNotFound(
            f"the tags of {ref} are of {len(models)} models, and none is "
            f"'{DEFAULT_TAG}'",
            hint=f"name one: {', '.join(one.tag for one in found[:8])}",
        )
    same = [one for one in found if one.model == latest[0].model]
    others = ", ".join(one.tag for one in found if one.model != latest[0].model)
    note = f"left out, because {DEFAULT_TAG} is another model: {others}"
    return same, (note,)


def _tagged(
    registry: Registry, name: str, group: Sequence[tuple[str, Manifest]]
) -> Tagged:
    manifest = group[0][1]
    config = _config(registry, name, manifest.config)
    quant = config.file_type
    tags = sorted(
        (tag for tag, _ in group),
        key=lambda tag: (quant.lower() not in tag.lower(), tag == DEFAULT_TAG, tag),
    )
    return Tagged(
        tags=tuple(tags),
        weights=manifest.of_type(MODEL_TYPE)[0],
        projector=next(iter(manifest.of_type(PROJECTOR_TYPE)), None),
        model=(config.model_family, config.model_type),
        quant=quant,
    )


def _config(registry: Registry, name: str, layer: Layer) -> StoredConfig:
    """Return what a config says; nothing where it is no config."""
    if not 0 < layer.size <= _MOST_CONFIG:
        return StoredConfig()
    with HttpBlob(registry, name, layer).read(0) as reply:
        data = b"".join(reply.chunks)
    try:
        return read_config(data)
    except ValueError:
        return StoredConfig()
