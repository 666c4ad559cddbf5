"""Find models on this machine: in other programs' caches, and in any folder.

Nothing is changed and no weights are read: a header takes 5 to 150 ms.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from localkit.errors import (
    Cancelled,
    LocalkitError,
    ManifestInvalid,
    SourceNotFound,
)
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.store import catalogue
from localkit.store.layout import Layout
from localkit.store.manifest import MODEL_TYPE, damaged
from localkit.store.scanning.stored_already import Stored, StoredAlready
from localkit.store.scanning.walk import find_gguf_files
from localkit.store.sources.local import Found, grouped, look_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from localkit.store.ref import ModelRef
    from localkit.store.scanning.places import Place

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sighting:
    """A GGUF that was seen, all parts of a split one, or a model of Ollama's."""

    place: Place
    found: Found
    stored: Stored
    ref: ModelRef | None = None
    """What Ollama calls it."""
    digest: str | None = None
    """Of the manifest that Ollama keeps of it."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What was seen where."""

    sightings: tuple[Sighting, ...]
    places: tuple[Place, ...]
    """Folders that are there and were looked into."""
    cuts: tuple[str, ...]
    """What was left out, and why."""
    seconds: float

    @property
    def to_add(self) -> list[Sighting]:
        """The models that are not stored yet, as far as is known."""
        return [
            one
            for one in self.sightings
            if one.found.kind == "model" and one.stored == "no"
        ]


def scan(
    layout: Layout,
    places: Iterable[Place],
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Scan:
    """Look for models in ``places``; one that lies in several is seen once.

    Args:
        layout: The store that they may be in already.
        places: Folders; those that are not there are passed over.
        on_progress: Told the number of files looked at.
        cancel: Looked at before each file.

    Raises:
        Cancelled: ``cancel`` was raised.
    """
    started = time.perf_counter()
    looking = _Looking(layout, on_progress, cancel)
    here = [place for place in places if place.folder.is_dir()]
    for place in here:
        if place.is_ollama:
            looking.at_ollama(place)
        else:
            looking.at_folder(place)
    return Scan(
        tuple(looking.sightings),
        tuple(here),
        tuple(looking.cuts),
        time.perf_counter() - started,
    )


class _Looking:
    """One scan on its way."""

    def __init__(
        self, layout: Layout, on_progress: OnProgress, cancel: CancelToken | None
    ) -> None:
        self._layout = layout
        self._stored = StoredAlready(layout)
        self._on_progress = on_progress
        self._cancel = cancel
        self._seen: set[str] = set()
        self.sightings: list[Sighting] = []
        self.cuts: list[str] = []

    def at_folder(self, place: Place) -> None:
        """Look at the GGUF files below a folder."""
        walked = find_gguf_files(place.folder)
        self.cuts += walked.cuts
        new = [path for path in walked.files if not self._has_seen(path)]
        for files in self._counted(grouped(new)):
            found = _look(files)
            stored = "no" if found.trouble else self._stored.has(found.files)
            self.sightings.append(Sighting(place, found, stored))

    def at_ollama(self, place: Place) -> None:
        """Look at the models of a store in Ollama's layout."""
        if place.folder.resolve() == self._layout.root.resolve():
            return
        theirs = Layout(place.folder)
        for entry in self._counted(list(catalogue.entries(theirs))):
            found = _look_at_entry(theirs, entry)
            self._has_seen(found.path)
            stored: Stored = "yes" if self._is_ours(entry) else "no"
            self.sightings.append(
                Sighting(place, found, stored, entry.ref, entry.digest)
            )

    def _is_ours(self, entry: catalogue.Entry) -> bool:
        """Return whether the store has this very model, under this name."""
        try:
            return catalogue.find(self._layout, entry.ref).digest == entry.digest
        except LocalkitError:
            return False

    def _has_seen(self, path: Path) -> bool:
        # Not Path.resolve: Python before 3.13 raises on a loop of links.
        real = os.path.realpath(path)
        if real in self._seen:
            return True
        self._seen.add(real)
        return False

    def _counted(self, items: Sequence[T]) -> Iterator[T]:
        for index, item in enumerate(items):
            if self._cancel is not None and self._cancel.cancelled:
                raise Cancelled("the scan was stopped", hint="run it again")
            self._on_progress(Progress("reading headers", index, len(items), "files"))
            yield item


def _look(files: tuple[Path, ...]) -> Found:
    try:
        return look_at(files[0])
    except LocalkitError as error:
        return Found(files, 0, trouble=error)


def _look_at_entry(layout: Layout, entry: catalogue.Entry) -> Found:
    """Return the weights of one of Ollama's models."""
    try:
        layers = entry.trusted().of_type(MODEL_TYPE)
    except ManifestInvalid as error:
        return Found((entry.path,), 0, trouble=error)
    if len(layers) != 1:
        trouble = SourceNotFound(
            f"it has {len(layers)} GGUF files, not one",
            hint="localkit runs models that are one GGUF file",
        )
        return Found((entry.path,), 0, trouble=trouble)
    path = layout.blob(layers[0].digest)
    if not path.is_file() or path.stat().st_size != layers[0].size:
        gone = damaged(str(entry.ref), "its weights are missing or cut")
        return Found((path,), 0, trouble=gone)
    return _look((path,))
