"""What the models of a store take on the disk, and what they share.

Counted in bytes of files, each blob once: what the models have for themselves,
what several of them share, and what nobody names add up to the folder of blobs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import ManifestInvalid
from localkit.store import catalogue
from localkit.store.leftovers import held

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from localkit.store.layout import Layout
    from localkit.store.ref import ModelRef


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model takes; bytes."""

    ref: ModelRef
    shared: int
    """In blobs that other models name too."""
    unshared: int
    """In blobs that only this one names: removing it takes them away."""
    linked: int
    """Of ``unshared``, in files that have a second name outside: hard links. The
    disk gets these back when that name goes as well."""

    @property
    def size(self) -> int:
        """Everything the model names that is here."""
        return self.shared + self.unshared


@dataclass(frozen=True, slots=True)
class Usage:
    """What a store takes; bytes."""

    models: tuple[ModelUsage, ...]
    """By name; a damaged model has 0, what it names is not known."""
    shared: int
    """In blobs that several models name, each counted once."""
    unreferenced: int
    """In blobs that no model names."""
    unfinished: int
    """In downloads and files in the making."""

    @property
    def unshared(self) -> int:
        """In blobs that exactly one model names."""
        return sum(model.unshared for model in self.models)

    @property
    def blobs(self) -> int:
        """In all blobs: ``shared + unshared + unreferenced``."""
        return self.shared + self.unshared + self.unreferenced

    @property
    def total(self) -> int:
        """In blobs and in what is unfinished."""
        return self.blobs + self.unfinished


def usage(layout: Layout) -> Usage:
    """Count what the models of a store take; reads manifests alone."""
    stats = {digest: path.lstat() for digest, path in _here(layout)}
    entries = list(catalogue.entries(layout))
    named = [
        set()
        if isinstance(entry.manifest, ManifestInvalid)
        else entry.blob_digests() & stats.keys()
        for entry in entries
    ]
    users = Counter(digest for digests in named for digest in digests)
    models = []
    for entry, digests in zip(entries, named, strict=True):
        own = [stats[digest] for digest in digests if users[digest] == 1]
        models.append(
            ModelUsage(
                entry.ref,
                sum(stats[d].st_size for d in digests if users[d] > 1),
                sum(stat.st_size for stat in own),
                sum(stat.st_size for stat in own if stat.st_nlink > 1),
            )
        )
    return Usage(
        models=tuple(sorted(models, key=lambda model: str(model.ref).lower())),
        shared=sum(stats[d].st_size for d, n in users.items() if n > 1),
        unreferenced=sum(stats[d].st_size for d in stats.keys() - users.keys()),
        unfinished=sum(held(path) for path in layout.unfinished()),
    )


def _here(layout: Layout) -> Iterable[tuple[str, Path]]:
    return ((digest, path) for digest, path in layout.all_blobs() if path.is_file())
