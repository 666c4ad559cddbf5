"""Getting a manifest, and not believing it before it is checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import (
    DigestMismatch,
    ManifestInvalid,
    RegistryError,
    SourceNotFound,
    StoreError,
)
from localkit.store.digest import digest_of
from localkit.store.manifest import MAX_SIZE, MEDIA_TYPE, MODEL_TYPE, parse_manifest
from localkit.store.ref import DEFAULT_TAG
from localkit.store.registry import endpoints
from localkit.store.registry.client import pulling

if TYPE_CHECKING:
    from localkit.store.manifest import Manifest
    from localkit.store.ref import ModelRef
    from localkit.store.registry.client import Registry

MAX_LAYERS = 128
"""Layers that a model may have."""
# A layer is one object with at most five pairs. More signs than so many layers need
# are refused before JSON is parsed: 4 MiB of brackets become 90 MB of lists.
_MAX_SIGNS = MAX_LAYERS * 32 + 256

_ACCEPT = f"{MEDIA_TYPE}, application/vnd.oci.image.manifest.v1+json;q=0.9"


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """A checked manifest, as it came."""

    data: bytes
    """Verbatim: its digest is the model's."""
    digest: str
    manifest: Manifest


def fetch_manifest(registry: Registry, ref: ModelRef) -> RemoteManifest:
    """Return the manifest of a tag, or of the digest that ``ref`` pins.

    Raises:
        SourceNotFound: the registry has no such model or tag.
        DigestMismatch: it is not the one that ``ref`` pins.
        ManifestInvalid: it is no manifest of a model that localkit can hold.
        RegistryError: refused, failed or out of reach.
        Cancelled: the registry's token was raised.
    """
    name = endpoints.repository(ref)
    if ref.digest is None:
        data = _get(registry, ref, ref.tag or DEFAULT_TAG)
    else:
        try:
            data = _get(registry, ref, ref.digest)
        except SourceNotFound:
            if ref.tag is None:
                raise
            # Not every registry gives manifests by digest; what comes is checked.
            data = _get(registry, ref, ref.tag)
    digest = digest_of(data)
    if ref.digest not in (None, digest):
        raise DigestMismatch(
            f"{registry.host} sends another manifest for {name}: {digest}, "
            f"not {ref.digest}",
            hint="the tag has moved on: pull it without the digest, or look which "
            "digest you want",
        )
    return RemoteManifest(data, digest, _checked(data, ref))


def _get(registry: Registry, ref: ModelRef, reference: str) -> bytes:
    name = endpoints.repository(ref)
    answer = registry.document(
        "GET",
        endpoints.manifest(name, reference),
        scope=pulling(name),
        limit=MAX_SIZE,
        headers={"Accept": _ACCEPT},
        doing=f"getting the manifest of {ref}",
        expected=frozenset({404}),
    )
    if answer.status == 404:
        raise SourceNotFound(
            f"{registry.host} has no '{name}' with "
            f"{'digest' if ':' in reference else 'tag'} {reference}",
            hint="check the name and tag",
        )
    if answer.headers.get("content-type", "").startswith("text/html"):
        raise RegistryError(
            f"{registry.host} answers with a web page in place of a manifest",
            hint="it is no registry, or a login page of this network is in between",
            status=answer.status,
        )
    return answer.body


def _checked(data: bytes, ref: ModelRef) -> Manifest:
    if sum(data.count(sign) for sign in (b"{", b"[", b",", b":")) > _MAX_SIGNS:
        raise _unusable(ref, f"more than {MAX_LAYERS} layers")
    try:
        manifest = parse_manifest(data, name=str(ref))
    except ManifestInvalid as error:
        reason = str(error).removeprefix(f"model '{ref}' is damaged: ")
        raise ManifestInvalid(
            f"what came for '{ref}' is no model: {reason}",
            hint="check the name; nothing was kept",
        ) from error
    layers = manifest.layers or ()
    if len(layers) > MAX_LAYERS:
        raise _unusable(ref, f"{len(layers)} layers, more than {MAX_LAYERS}")
    if not manifest.of_type(MODEL_TYPE):
        kinds = sorted({layer.media_type.rpartition(".")[2][:40] for layer in layers})
        raise StoreError(
            f"'{ref}' has no GGUF: it holds {', '.join(kinds[:5]) or 'nothing'}",
            hint="localkit runs GGUF models: pull another tag",
        )
    return manifest


def _unusable(ref: ModelRef, what: str) -> ManifestInvalid:
    return ManifestInvalid(
        f"the manifest of '{ref}' has {what}",
        hint="the registry is broken or hostile: nothing was kept",
    )
