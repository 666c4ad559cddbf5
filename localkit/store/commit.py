"""Make a manifest count: the one step after which a model is in the store.

Whatever brings a model in (a file, a registry, a Modelfile) first puts its blobs
together outside ``blobs``, hashed, and then calls `commit`. Under the writer's
lock, blobs are moved in, each flushed to the disk, then the manifest is written
whole. Killed at any step before that, nothing lists the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import RefError, StoreError
from localkit.io.atomic import flush_folder, write_atomic
from localkit.store import blobs
from localkit.store.catalogue import Entry, read_entry
from localkit.store.collect import collect
from localkit.store.digest import short_digest
from localkit.store.manifest import parse_manifest
from localkit.store.writing import writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.events import CancelToken
    from localkit.store.layout import Layout
    from localkit.store.ref import ModelRef


@dataclass(frozen=True, slots=True)
class NewBlob:
    """A blob on its way in."""

    digest: str
    size: int
    staged: Path | None
    """Whole file with these bytes, on the store's file system, to be moved in; None
    when the store has to have it."""
    own_mode: bool = True
    """Whether the file's mode is ours to set (not after a hard link)."""


def commit(
    layout: Layout,
    ref: ModelRef,
    manifest: bytes,
    new: Sequence[NewBlob],
    *,
    purpose: str,
    cancel: CancelToken | None = None,
) -> Entry:
    """Move blobs in and write a manifest that names them, as it is.

    A model that has the ref already is replaced; what only it used is deleted.

    Args:
        layout: The store.
        ref: With a tag, without a digest.
        manifest: Its bytes; the digest of these is the model's.
        new: Blobs of it that may not be here.
        purpose: For whoever waits for the lock: ``adding smollm2``.
        cancel: Stops a check of bytes that are here already.

    Raises:
        RefError: the ref pins a digest or has no tag.
        ManifestInvalid: the bytes are no manifest.
        StoreError: a blob is missing: another process removed it meanwhile; or the
            store may not be written.
        DiskFull: it does not fit; the store is as it was.
        StoreLocked: another writer did not finish in time.
        Cancelled: ``cancel`` was raised; the store is as it was.
    """
    if ref.digest is not None:
        raise RefError(
            f"'{ref}' names a digest, which the manifest decides",
            hint=f"write {ref.with_tag(ref.tag)}",
        )
    named = parse_manifest(manifest, name=str(ref))
    needed = sum(blob.size for blob in new if blob.staged is not None)
    with writing(layout, purpose, needed=needed):
        ref = layout.spelled_as_stored(ref)
        replaced = [read_entry(ref, old) for old in layout.manifests_of(ref)]
        try:
            for blob in new:
                _install(layout, blob, cancel)
            for layer in named.blobs():
                path = layout.blob(layer.digest)
                if not path.is_file() or path.stat().st_size != layer.size:
                    raise _removed(layer.digest)
            _write(layout, ref, manifest)
        except BaseException:
            collect(layout, {blob.digest for blob in new})
            raise
        collect(layout, {digest for old in replaced for digest in old.blob_digests()})
        return read_entry(ref, layout.manifest(ref))


def _install(layout: Layout, blob: NewBlob, cancel: CancelToken | None) -> None:
    if blobs.is_intact(layout, blob.digest, cancel=cancel):
        return
    if blob.staged is None:
        raise _removed(blob.digest)
    blobs.install(layout, blob.staged, blob.digest, own_mode=blob.own_mode)


def _removed(digest: str) -> StoreError:
    return StoreError(
        f"blob {short_digest(digest)} was removed from the store meanwhile",
        hint="do the same again: only what is missing is brought in",
    )


def _write(layout: Layout, ref: ModelRef, manifest: bytes) -> None:
    target = layout.manifest(ref)
    write_atomic(target, manifest, unfinished_in=layout.staging)
    for shadow in layout.manifests_of(ref):
        # A newer Ollama's link to the old manifest would still count.
        if shadow != target:
            shadow.unlink()
            flush_folder(shadow.parent)
