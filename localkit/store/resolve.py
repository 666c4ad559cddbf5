"""From a ref to a model that may be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.errors import ManifestInvalid, StoreError
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.store import blobs, catalogue
from localkit.store.manifest import (
    ADAPTER_TYPE,
    DRAFT_TYPE,
    MODEL_TYPE,
    PROJECTOR_TYPE,
    damaged,
)
from localkit.store.stored import StoredModel
from localkit.store.trouble import blob_trouble

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.catalogue import Entry
    from localkit.store.layout import Layout
    from localkit.store.ref import ModelRef


def resolve(
    layout: Layout,
    ref: ModelRef,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> StoredModel:
    """Return the model that ``ref`` means, ready to load.

    Weights and adapters that changed since they were hashed are hashed again.

    Raises:
        ModelNotFound: no such model, or several tags and none named.
        ManifestInvalid: the model is damaged.
        BlobCorrupt: the weights are not what they were.
        StoreError: the model is not one GGUF file.
        Cancelled: ``cancel`` was raised.
    """
    entry = catalogue.find(layout, ref)
    try:
        return resolve_entry(layout, entry, on_progress=on_progress, cancel=cancel)
    except ManifestInvalid:
        # Another process may have removed or replaced the model meanwhile.
        if catalogue.find(layout, ref).digest == entry.digest:
            raise
        return resolve(layout, ref, on_progress=on_progress, cancel=cancel)


def resolve_entry(
    layout: Layout,
    entry: Entry,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> StoredModel:
    """Return the model of a manifest that was read.

    Raises:
        ManifestInvalid, BlobCorrupt, StoreError, Cancelled: as `resolve`.
    """
    manifest = entry.trusted()
    weights = manifest.of_type(MODEL_TYPE)
    if len(weights) != 1:
        raise StoreError(
            f"model '{entry.ref}' has {len(weights)} GGUF files, not one",
            hint="localkit runs models that are one GGUF file: pull or add such a one",
        )
    trouble = blob_trouble(manifest, layout.blob_size, besides=weights[0].digest)
    if trouble is not None:
        raise damaged(str(entry.ref), trouble)

    def usable(media_type: str) -> tuple[Path, ...]:
        try:
            return tuple(
                blobs.require_usable(
                    layout,
                    layer.digest,
                    layer.size,
                    repair=f"pull '{entry.ref}' or add its file again: "
                    "only what is damaged is replaced",
                    on_progress=on_progress,
                    cancel=cancel,
                )
                for layer in manifest.of_type(media_type)
            )
        except FileNotFoundError as error:
            missing = (
                blob_trouble(manifest, layout.blob_size)
                or "a blob was removed meanwhile"
            )
            raise damaged(str(entry.ref), missing) from error

    (path,) = usable(MODEL_TYPE)
    return StoredModel(
        ref=entry.ref,
        digest=entry.digest,
        manifest=manifest,
        weights=path,
        weights_digest=weights[0].digest,
        layout=layout,
        projector=next(iter(usable(PROJECTOR_TYPE)), None),
        adapters=usable(ADAPTER_TYPE),
        draft=next(iter(usable(DRAFT_TYPE)), None),
    )
