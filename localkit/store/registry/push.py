"""Send a model of the store to a registry."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import ManifestInvalid, RefError, StoreError
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.io.regular import open_regular
from localkit.store import blobs, catalogue
from localkit.store.digest import short_digest, short_id
from localkit.store.manifest import MAX_SIZE
from localkit.store.registry import endpoints
from localkit.store.registry.client import Registry, pushing
from localkit.store.registry.upload import CHUNK_SIZE, Upload

if TYPE_CHECKING:
    from localkit.io.http import Pace
    from localkit.store.catalogue import Entry
    from localkit.store.layout import Layout
    from localkit.store.manifest import Layer
    from localkit.store.ref import ModelRef

_MAX_ANSWER = 64 << 10


@dataclass(frozen=True, slots=True)
class PushReceipt:
    """What pushing a model did."""

    ref: ModelRef
    """What it is called there."""
    digest: str
    """Of the manifest: the same as here."""
    size: int
    """Bytes of everything the manifest names."""
    n_missing: int
    """How many of its blobs the registry did not have."""
    n_mounted: int
    """How many of those it took over from another model there."""
    sent: int
    """Bytes of blobs that went over the wire."""
    seconds: float


def push(
    layout: Layout,
    ref: ModelRef,
    target: ModelRef | None = None,
    *,
    insecure: bool = False,
    registry: Registry | None = None,
    pace: Pace | None = None,
    chunk_size: int = CHUNK_SIZE,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> PushReceipt:
    """Push a model: the blobs that are missing there, then the manifest, verbatim.

    Args:
        layout: The store.
        ref: Which model.
        target: What it is to be called there; default: ``ref``.
        insecure: Whether to speak plain http to a registry elsewhere.
        registry: Who to give it to; default: the target's host.
        pace: How often and how fast to try again.
        chunk_size: Bytes of one request.
        on_progress: Told the step and its bytes, as Ollama words them.
        cancel: Stops it; the next push goes on from there, if the registry can.

    Raises:
        ModelNotFound: no such model, or several tags and none named.
        ManifestInvalid: the model is damaged.
        RefError: the target pins a digest.
        StoreError: a blob is missing or not what it was: nothing was sent.
        RegistryError: refused, failed or out of reach.
        Cancelled: ``cancel`` was raised.
    """
    started = time.perf_counter()
    on_progress(Progress("retrieving manifest", 0))
    entry = catalogue.find(layout, ref)
    manifest = entry.trusted()
    target = target or entry.ref
    if target.digest is not None:
        raise RefError(
            f"'{target}' names a digest, which the manifest decides",
            hint=f"push to {target.with_tag(target.tag)}",
        )
    target = target.with_tag(target.tag or entry.ref.tag)
    data = _read(entry)
    layers = list(manifest.blobs())
    for layer in layers:
        _require_right(layout, layer, entry)
    name = endpoints.repository(target)
    n_missing = n_mounted = sent = 0
    with ExitStack() as stack:
        if registry is None:
            registry = stack.enter_context(
                Registry(
                    target.host,
                    insecure=insecure,
                    on_progress=on_progress,
                    cancel=cancel,
                )
            )
        for layer in layers:
            step = f"pushing {short_id(layer.digest)}"
            if not _has(registry, name, layer):
                n_missing += 1
                upload = Upload(
                    layout,
                    layer,
                    registry,
                    name,
                    source=_elsewhere(layout, layer, target),
                    pace=pace,
                    chunk_size=chunk_size,
                    on_progress=on_progress,
                    cancel=cancel,
                )
                upload.run()
                sent += upload.n_sent
                n_mounted += upload.n_sent == 0 and layer.size > 0
            on_progress(Progress(step, layer.size, layer.size, "B"))
        on_progress(Progress("pushing manifest", 0))
        registry.document(
            "PUT",
            endpoints.manifest(name, str(target.tag)),
            scope=pushing(name),
            limit=_MAX_ANSWER,
            headers={"Content-Type": manifest.media_type},
            body=data,
            doing=f"putting the manifest of {target}",
        )
    return PushReceipt(
        ref=target,
        digest=entry.digest,
        size=manifest.size,
        n_missing=n_missing,
        n_mounted=n_mounted,
        sent=sent,
        seconds=time.perf_counter() - started,
    )


def _read(entry: Entry) -> bytes:
    with open_regular(entry.path) as stream:
        return stream.read(MAX_SIZE) or b""


def _require_right(layout: Layout, layer: Layer, entry: Entry) -> None:
    """Refuse to send what is not there, or known not to be right.

    A blob is not hashed for this: the registry does it.
    """
    path = layout.blob(layer.digest)
    if not path.is_file() or path.stat().st_size != layer.size:
        raise StoreError(
            f"blob {short_digest(layer.digest)} of '{entry.ref}' is missing "
            "or cut short",
            hint=f"pull '{entry.ref}' or add its file again",
        )
    blobs.require_usable(
        layout,
        layer.digest,
        layer.size,
        repair=f"pull '{entry.ref}' or add its file again",
    )


def _has(registry: Registry, name: str, layer: Layer) -> bool:
    answer = registry.document(
        "HEAD",
        endpoints.blob(name, layer.digest),
        scope=pushing(name),
        limit=0,
        doing=f"looking for blob {short_digest(layer.digest)}",
        expected=frozenset({404}),
    )
    return answer.status < 400


def _elsewhere(layout: Layout, layer: Layer, target: ModelRef) -> str | None:
    """Return another repository of the same registry that may have a blob.

    One of a model here that shares it: what was pushed before, or pulled.
    """
    for entry in catalogue.entries(layout):
        if (
            entry.ref.host.lower() == target.host.lower()
            and entry.ref.model_key != target.model_key
            and not isinstance(entry.manifest, ManifestInvalid)
            and any(one.digest == layer.digest for one in entry.manifest.blobs())
        ):
            return endpoints.repository(entry.ref)
    return None
