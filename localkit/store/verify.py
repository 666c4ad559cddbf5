"""Read every byte of the store and say what is not as it should be."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import ManifestInvalid, SourceNotFound
from localkit.events import CancelToken, OnProgress, Progress, no_progress
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
    found: str | None
    """What they hash to; None when the blob is missing."""
    used_by: tuple[ModelRef, ...]
    """Models that need it: those to pull or add again when it is not ok."""

    @property
    def ok(self) -> bool:
        """Whether the bytes hash to the digest."""
        return self.found == self.digest


def verify(
    layout: Layout,
    ref: ModelRef | None = None,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> list[BlobCheck]:
    """Hash the blobs of one model, or every blob and what manifests miss.

    The result is remembered: a corrupt blob is not loaded from then on, and is
    replaced when its model is pulled or added again. Not so in a store that
    localkit never wrote to, such as Ollama's: nothing is written there.

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
    sizes = {digest: layout.blob_size(digest) or 0 for digest in sorted(wanted)}
    checks, done = [], 0
    for digest in sizes:
        path = layout.blob(digest)
        report = _all_of(on_progress, done, sum(sizes.values()))
        try:
            found = blobs.hash_of(layout, digest, on_progress=report, cancel=cancel)
            size = path.stat().st_size
        except (SourceNotFound, FileNotFoundError):
            found, size = None, 0
        done += size
        used_by = tuple(users.get(digest, ()))
        checks.append(BlobCheck(digest, path, size, found, used_by))
    return checks


def _all_of(on_progress: OnProgress, done: int, total: int) -> OnProgress:
    """Return a reporter that counts one blob's bytes among all."""

    def report(progress: Progress) -> None:
        on_progress(Progress("verifying", done + progress.done, total, "B"))

    return report


def _users(entries: Iterable[Entry]) -> dict[str, list[ModelRef]]:
    users: dict[str, list[ModelRef]] = defaultdict(list)
    for entry in entries:
        if not isinstance(entry.manifest, ManifestInvalid):
            for layer in entry.manifest.blobs():
                users[layer.digest].append(entry.ref)
    return users
