"""Put a GGUF file into the store.

The order is what makes it safe to be killed at any step: the weights are taken
over and hashed outside the blobs, then renamed to their digest, then come
licence and config, and last the manifest, each flushed to the disk before the
next. Until the manifest is there, nothing lists the model; once it is, all that
it names is.

The chat template stays in the GGUF. The template layer of the format holds Go
templates, so a Jinja template in it would mislead every other reader.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from localkit.errors import RefError, StoreError
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf import preflight, read_header
from localkit.gguf.read import model_info
from localkit.io.atomic import flush_folder, write_atomic
from localkit.io.hashing import hash_stream
from localkit.io.link import take
from localkit.io.regular import open_regular
from localkit.store import blobs
from localkit.store.catalogue import read_entry
from localkit.store.collect import collect
from localkit.store.config_blob import config_of
from localkit.store.digest import digest_from_hex
from localkit.store.manifest import (
    CONFIG_TYPE,
    LICENCE_TYPE,
    MODEL_TYPE,
    Layer,
    Manifest,
)
from localkit.store.names import default_ref, quant_tag
from localkit.store.resolve import resolve
from localkit.store.writing import remove_abandoned, staging_area, writing

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.gguf.info import ModelInfo
    from localkit.store.layout import Layout
    from localkit.store.ref import ModelRef
    from localkit.store.stored import StoredModel

AddMethod = Literal["reflink", "hardlink", "copy", "moved", "present"]


@dataclass(frozen=True, slots=True)
class AddReceipt:
    """What adding a model did."""

    model: StoredModel
    method: AddMethod
    """How the bytes came: ``present`` when the store already had them. After
    ``hardlink`` the file is one with the store's: replace it, never write into it.
    """
    size: int
    """Bytes of the weights."""
    seconds: float


class _Weights(NamedTuple):
    method: AddMethod
    staged: Path | None
    """Where they wait to be moved in; None when only the store has them."""
    digest: str
    size: int


def add(
    layout: Layout,
    path: Path,
    ref: ModelRef | None = None,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> AddReceipt:
    """Add the GGUF at ``path``, without copying its bytes where that can be.

    Without ``ref`` the model is named after the file; without a tag, the tag is
    the quant in the header. A model that has the ref already is replaced.

    Raises:
        SourceNotFound: there is no plain file at ``path``.
        GGUFError: it is not a GGUF that may be loaded.
        RefError: ``ref`` pins a digest.
        DiskFull: it does not fit; the store is as it was.
        StoreLocked: another writer did not finish in time.
        StoreError: the store may not be written, or the file changed meanwhile.
        Cancelled: ``cancel`` was raised; the store is as it was.
    """
    started = time.perf_counter()
    info = _checked(path)
    remove_abandoned(layout)
    with staging_area(layout) as area:
        weights = _take(
            layout, path, area / "weights", on_progress=on_progress, cancel=cancel
        )
        return _commit(layout, path, ref, info, weights, started, cancel)


def adopt(
    layout: Layout,
    path: Path,
    ref: ModelRef,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> AddReceipt:
    """Add a GGUF that was made in the store's staging, by renaming it.

    Raises:
        StoreError: ``path`` does not lie in the staging; and as `add`.
        GGUFError, DiskFull, StoreLocked, Cancelled: as `add`.
    """
    started = time.perf_counter()
    if not path.resolve().is_relative_to(layout.staging.resolve()):
        raise StoreError(
            f"'{path}' was not made in the store's staging", hint="use add for it"
        )
    info = _checked(path)
    with open_regular(path) as stream:
        hashed = hash_stream(stream, on_progress=on_progress, cancel=cancel)
    digest = digest_from_hex(hashed.sha256)
    weights = _Weights("moved", path, digest, hashed.size)
    return _commit(layout, path, ref, info, weights, started, cancel)


def _checked(path: Path) -> ModelInfo:
    """Refuse what is no plain file or would not load, before anything is written."""
    open_regular(path).close()
    header = read_header(path)
    preflight.check(header)
    return model_info(header, path)


def _take(
    layout: Layout,
    path: Path,
    staged: Path,
    *,
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> _Weights:
    size = path.stat().st_size
    same_size = blobs.of_size(layout, size)
    if same_size:
        # Hashing first spares a copy when the store has these bytes.
        with open_regular(path) as stream:
            hashed = hash_stream(stream, on_progress=on_progress, cancel=cancel)
        digest = digest_from_hex(hashed.sha256)
        if digest in same_size and blobs.is_intact(
            layout, digest, on_progress=on_progress, cancel=cancel
        ):
            return _Weights("present", _held(layout, digest, staged), digest, size)
    taken = take(path, staged, on_progress=on_progress, cancel=cancel)
    return _Weights(taken.method, staged, digest_from_hex(taken.sha256), taken.size)


def _commit(
    layout: Layout,
    path: Path,
    ref: ModelRef | None,
    info: ModelInfo,
    weights: _Weights,
    started: float,
    cancel: CancelToken | None,
) -> AddReceipt:
    ref = ref or default_ref(path, info)
    if ref.digest is not None:
        raise RefError(
            f"'{ref}' names a digest, which adding a file decides",
            hint=f"add it as {ref.with_tag(ref.tag)}",
        )
    ref = ref.with_tag(ref.tag or quant_tag(info))
    with writing(layout, f"adding {ref}", needed=weights.size):
        ref = layout.spelled_as_stored(ref)
        replaced = [read_entry(ref, old) for old in layout.manifests_of(ref)]
        new = {weights.digest}
        try:
            method = _install_weights(layout, weights, cancel)
            manifest = _manifest(layout, info, weights)
            new.update(layer.digest for layer in manifest.blobs())
            _write_manifest(layout, ref, manifest)
        except BaseException:
            collect(layout, new)
            raise
        collect(layout, {digest for old in replaced for digest in old.blob_digests()})
        model = resolve(layout, ref)
    return AddReceipt(model, method, weights.size, time.perf_counter() - started)


def _held(layout: Layout, digest: str, staged: Path) -> Path | None:
    """Keep a blob's bytes under a second name, should another process remove it."""
    try:
        os.link(layout.blob(digest), staged)
    except OSError:
        return None
    return staged


def _install_weights(
    layout: Layout, weights: _Weights, cancel: CancelToken | None
) -> AddMethod:
    if blobs.is_intact(layout, weights.digest, cancel=cancel):
        return "present"
    if weights.staged is None:
        raise StoreError(
            "the store's copy of the weights was removed meanwhile",
            hint="add the file again",
        )
    blobs.install(
        layout,
        weights.staged,
        weights.digest,
        own_mode=weights.method in {"copy", "reflink", "moved"},
    )
    return weights.method


def _manifest(layout: Layout, info: ModelInfo, weights: _Weights) -> Manifest:
    layers = [Layer(media_type=MODEL_TYPE, digest=weights.digest, size=weights.size)]
    if info.licence:
        licence = info.licence.encode()
        layers.append(
            Layer(
                media_type=LICENCE_TYPE,
                digest=blobs.install_bytes(layout, licence),
                size=len(licence),
            )
        )
    config = config_of(info, tuple(layer.digest for layer in layers)).encode()
    return Manifest(
        config=Layer(
            media_type=CONFIG_TYPE,
            digest=blobs.install_bytes(layout, config),
            size=len(config),
        ),
        layers=tuple(layers),
    )


def _write_manifest(layout: Layout, ref: ModelRef, manifest: Manifest) -> None:
    target = layout.manifest(ref)
    write_atomic(target, manifest.encode(), unfinished_in=layout.staging)
    for shadow in layout.manifests_of(ref):
        # A newer Ollama's link to the old manifest would still count.
        if shadow != target:
            shadow.unlink()
            flush_folder(shadow.parent)
