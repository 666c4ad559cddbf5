"""Read every byte of the store and say what is not as it should be."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import ManifestInvalid, SourceNotFound
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.store import blobs, catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from localkit.store.catalogue import Entry
    from localkit.store.layout import Layout
    from localkit.store.ref import ModelRef


@dataclass(frozen=True, slots=True)
class BlobCheck:
    """What reading one blob showed."""

    digest: str
    path: Path
    size: int
    """Bytes that are there; 0 when the blob is missing."""
    ok: bool
    """Whether they hash to the digest."""
    used_by: tuple[ModelRef, ...]
    """Models that need it: those to pull or add again when it is not ok."""


def verify(
    layout: Layout,
    ref: ModelRef | None = None,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> list[BlobCheck]:
    """Hash the blobs of one model, or every blob and what manifests miss.

    The result is remembered: a corrupt blob is not loaded from then on, and is
    replaced when its model is pulled or added again.

    Raises:
        ModelNotFound: no such model.
        ManifestInvalid: the one model asked for is damaged.
        Cancelled: ``cancel`` was raised.
    """
    users = _users(catalogue.entries(layout))
    if ref is None:
        wanted = set(users) | {digest for digest, _ in layout.all_blobs()}
    else:
        manifest = catalogue.find(layout, ref).trusted()
        wanted = {layer.digest for layer in manifest.blobs()}
    checks = []
    for digest in sorted(wanted):
        path = layout.blob(digest)
        try:
            ok = blobs.rehash(layout, digest, on_progress=on_progress, cancel=cancel)
            size = path.stat().st_size
        except (SourceNotFound, FileNotFoundError):
            ok, size = False, 0
        checks.append(BlobCheck(digest, path, size, ok, tuple(users.get(digest, ()))))
    return checks


def _users(entries: Iterable[Entry]) -> dict[str, list[ModelRef]]:
    users: dict[str, list[ModelRef]] = defaultdict(list)
    for entry in entries:
        if not isinstance(entry.manifest, ManifestInvalid):
            for layer in entry.manifest.blobs():
                users[layer.digest].append(entry.ref)
    return users
