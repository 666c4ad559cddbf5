"""From a ref to a model that may be loaded, and to one line of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.errors import ManifestInvalid, StoreError
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.store import blobs, catalogue
from localkit.store.manifest import LICENCE_TYPE, MODEL_TYPE, PROJECTOR_TYPE, damaged
from localkit.store.stored import Listing, StoredModel

if TYPE_CHECKING:
    from localkit.store.catalogue import Entry
    from localkit.store.layout import Layout
    from localkit.store.manifest import Manifest
    from localkit.store.ref import ModelRef


def resolve(
    layout: Layout,
    ref: ModelRef,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> StoredModel:
    """Return the model that ``ref`` means, ready to load.

    Weights that changed since they were hashed are hashed again.

    Raises:
        ModelNotFound: no such model, or several tags and none named.
        ManifestInvalid: the model is damaged.
        BlobCorrupt: the weights are not what they were.
        StoreError: the model is not one GGUF file.
        Cancelled: ``cancel`` was raised.
    """
    entry = catalogue.find(layout, ref)
    manifest = entry.trusted()
    weights = manifest.of_type(MODEL_TYPE)
    if len(weights) != 1:
        raise StoreError(
            f"model '{entry.ref}' has {len(weights)} GGUF files, not one",
            hint="localkit runs models that are one GGUF file: pull or add such a one",
        )
    try:
        path = blobs.require_usable(
            layout,
            weights[0].digest,
            weights[0].size,
            repair=f"pull '{entry.ref}' or add its file again: "
            "only what is damaged is replaced",
            on_progress=on_progress,
            cancel=cancel,
        )
    except FileNotFoundError:
        path = layout.blob(weights[0].digest)
    if (trouble := _trouble(layout, manifest)) is not None:
        # Another process may have removed or replaced the model meanwhile.
        if catalogue.find(layout, ref).digest != entry.digest:
            return resolve(layout, ref, on_progress=on_progress, cancel=cancel)
        raise damaged(str(entry.ref), trouble)
    return StoredModel(
        ref=entry.ref,
        digest=entry.digest,
        manifest=manifest,
        weights=path,
        weights_digest=weights[0].digest,
        licence_files=tuple(
            layout.blob(layer.digest) for layer in manifest.of_type(LICENCE_TYPE)
        ),
        projector=next(
            (layout.blob(one.digest) for one in manifest.of_type(PROJECTOR_TYPE)), None
        ),
    )


def listing(layout: Layout, entry: Entry) -> Listing:
    """Describe a manifest and whether its blobs are here, without reading them."""
    if isinstance(entry.manifest, ManifestInvalid):
        size = 0
        trouble: str | None = entry.manifest.one_line()
    else:
        size = entry.manifest.size
        found = _trouble(layout, entry.manifest)
        trouble = found and damaged(str(entry.ref), found).one_line()
    return Listing(entry.ref, entry.digest, size, entry.modified, trouble)


def _trouble(layout: Layout, manifest: Manifest) -> str | None:
    for layer in manifest.blobs():
        try:
            size = layout.blob(layer.digest).stat().st_size
        except FileNotFoundError:
            return f"blob {layer.digest[:19]}… is missing"
        if size != layer.size:
            return f"blob {layer.digest[:19]}… has {size} bytes, not {layer.size}"
    return None
