"""Bring a model of a registry into the store."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from localkit.errors import Cancelled, GGUFError, ModelNotFound
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.gguf import preflight, read_header
from localkit.store import blobs, catalogue
from localkit.store.commit import NewBlob, commit
from localkit.store.digest import short_id
from localkit.store.manifest import MODEL_TYPE
from localkit.store.ref import DEFAULT_TAG
from localkit.store.registry import endpoints
from localkit.store.registry.blob import HttpBlob
from localkit.store.registry.client import Registry
from localkit.store.registry.download import downloaded
from localkit.store.registry.manifests import fetch_manifest
from localkit.store.resolve import resolve

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.layout import Layout
    from localkit.store.manifest import Layer
    from localkit.store.ref import ModelRef
    from localkit.store.registry.manifests import RemoteManifest
    from localkit.store.stored import StoredModel


@dataclass(frozen=True, slots=True)
class PullReceipt:
    """What pulling a model did."""

    model: StoredModel
    size: int
    """Bytes of everything the manifest names."""
    n_missing: int
    """How many of its blobs were not here."""
    missing: int
    """Bytes of those."""
    seconds: float

    @property
    def up_to_date(self) -> bool:
        """Whether all of it was here."""
        return self.n_missing == 0


def pull(
    layout: Layout,
    ref: ModelRef,
    into: ModelRef | None = None,
    *,
    insecure: bool = False,
    registry: Registry | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> PullReceipt:
    """Pull the model that ``ref`` means: what is missing of it, and nothing else.

    A blob counts as here when its bytes are right; one that is not is replaced.

    Args:
        layout: The store.
        ref: Without a tag: ``latest``. With a digest, its manifest has to have it.
        into: Ref to keep it under; default: ``ref``, and for a digest without a
            tag, the digest's first twelve digits as the tag.
        insecure: Whether to speak plain http to a registry elsewhere.
        registry: Who to ask; default: the ref's host.
        on_progress: Told the step and its bytes, as Ollama words them.
        cancel: Stops it; what came so far is used by the next pull.

    Raises:
        SourceNotFound: the registry has no such model or tag.
        RegistryError: refused, failed or out of reach.
        DigestMismatch: other bytes came than were asked for.
        ManifestInvalid: it is no manifest of a model.
        GGUFError: the weights are not a GGUF that may be loaded.
        StoreError: the model has no GGUF; or the store may not be written.
        DiskFull: it does not fit.
        StoreLocked: another writer did not finish in time.
        Cancelled: ``cancel`` was raised.
    """
    started = time.perf_counter()
    target = into or ref
    if into is None and ref.tag is None and ref.digest is not None:
        target = ref.with_tag(short_id(ref.digest))
    target = target.with_tag(target.tag or DEFAULT_TAG)
    with ExitStack() as stack:
        if registry is None:
            registry = stack.enter_context(
                Registry(
                    ref.host, insecure=insecure, on_progress=on_progress, cancel=cancel
                )
            )
        on_progress(Progress("pulling manifest", 0))
        remote = fetch_manifest(registry, ref)
        missing = [
            layer
            for layer in remote.manifest.blobs()
            if not blobs.is_intact(
                layout, layer.digest, on_progress=on_progress, cancel=cancel
            )
        ]
        if missing or _stored_digest(layout, target) != remote.digest:
            paths = []
            for layer in missing:
                _go_on(cancel)
                blob = HttpBlob(registry, endpoints.repository(ref), layer)
                path = stack.enter_context(
                    downloaded(
                        layout,
                        blob,
                        on_progress=_named(layer, on_progress),
                        cancel=cancel,
                    )
                )
                paths.append(path)
            on_progress(Progress("verifying", 0))
            new = [
                _new_blob(layout, layer, path)
                for layer, path in zip(missing, paths, strict=True)
            ]
            _go_on(cancel)
            _keep(layout, target, remote, new, on_progress, cancel)
    return PullReceipt(
        model=resolve(layout, target),
        size=remote.manifest.size,
        n_missing=len(missing),
        missing=sum(layer.size for layer in missing),
        seconds=time.perf_counter() - started,
    )


def _stored_digest(layout: Layout, ref: ModelRef) -> str | None:
    try:
        return catalogue.find(layout, ref).digest
    except ModelNotFound:
        return None


def _go_on(cancel: CancelToken | None) -> None:
    if cancel is not None and cancel.cancelled:
        raise Cancelled("pulling was stopped", hint="pull again to go on")


def _named(layer: Layer, on_progress: OnProgress) -> OnProgress:
    """Say which blob the bytes of a report are of, as Ollama does."""
    step = f"pulling {short_id(layer.digest)}"

    def report(progress: Progress) -> None:
        if progress.step == "downloading":
            progress = replace(progress, step=step)
        on_progress(progress)

    return report


def _new_blob(layout: Layout, layer: Layer, path: Path) -> NewBlob:
    """Refuse weights that may not be loaded, before they count for anything.

    Raises:
        GGUFError: they may not; the file is removed.
    """
    if layer.media_type == MODEL_TYPE:
        try:
            preflight.check(read_header(path))
        except GGUFError:
            if path != layout.blob(layer.digest):
                path.unlink(missing_ok=True)
            raise
    staged = None if path == layout.blob(layer.digest) else path
    return NewBlob(layer.digest, layer.size, staged)


def _keep(
    layout: Layout,
    target: ModelRef,
    remote: RemoteManifest,
    new: list[NewBlob],
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> None:
    on_progress(Progress("writing manifest", 0))
    commit(layout, target, remote.data, new, purpose=f"pulling {target}", cancel=cancel)
    for blob in new:
        if blob.staged is not None:
            # Left over where another process had the blob in place first.
            blob.staged.unlink(missing_ok=True)
