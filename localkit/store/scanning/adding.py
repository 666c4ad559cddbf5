"""Add what a scan saw, by link where that can be."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import (
    BlobCorrupt,
    Cancelled,
    LocalkitError,
    ModelNotFound,
    RefError,
    StoreError,
)
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf.split import whole_name
from localkit.io.regular import open_regular
from localkit.store import catalogue
from localkit.store.commit import commit
from localkit.store.create import CreateReceipt
from localkit.store.digest import digest_of, short_digest
from localkit.store.importing.bring import bring_in
from localkit.store.layout import Layout
from localkit.store.manifest import MAX_SIZE, MODEL_TYPE
from localkit.store.names import default_ref
from localkit.store.ref import ModelRef
from localkit.store.resolve import resolve_entry
from localkit.store.taking import take_source
from localkit.store.writing import staging_area

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from localkit.store.manifest import Layer
    from localkit.store.scanning.scan import Sighting

_HUB = "hf.co"


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one sighting."""

    sighting: Sighting
    receipt: CreateReceipt | None
    trouble: LocalkitError | None = None
    """Why it was not added."""


def add_seen(
    layout: Layout,
    sightings: Iterable[Sighting],
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Iterator[Added]:
    """Add each, and yield what became of it; one that fails does not stop the others.

    A model of Hugging Face's cache gets the name it is pulled by, one of Ollama's its
    own, any other is named after its file. A name that another model has already is
    not taken from it.

    Raises:
        Cancelled: ``cancel`` was raised; what was added before stays.
    """
    for sighting in sightings:
        try:
            ref = sighting.ref or name_of(sighting)
            _require_free_name(layout, ref)
            if sighting.ref is not None:
                receipt = _take_model(
                    layout, sighting, sighting.ref, on_progress, cancel
                )
            else:
                receipt = bring_in(
                    layout,
                    sighting.found.path,
                    ref,
                    on_progress=on_progress,
                    cancel=cancel,
                )
        except Cancelled:
            raise
        except LocalkitError as error:
            yield Added(sighting, None, error)
        else:
            yield Added(sighting, receipt)


def name_of(sighting: Sighting) -> ModelRef:
    """Return what to call a model that lies in a folder."""
    path, info = sighting.found.path, sighting.found.info
    if info is None:
        raise StoreError(
            f"{path.name} is no model", hint="add it with the model it belongs to"
        )
    named = default_ref(path.with_name(whole_name(path)), info)
    repo = next(
        (one.name for one in path.parents if one.name.startswith("models--")), ""
    )
    parts = repo.split("--")
    if len(parts) == 3:
        with suppress(RefError):
            return ModelRef(
                model=parts[2], tag=info.quant or None, host=_HUB, namespace=parts[1]
            )
    return named


def _require_free_name(layout: Layout, ref: ModelRef) -> None:
    try:
        there = catalogue.find(layout, ref)
    except ModelNotFound:
        return
    raise StoreError(
        f"'{there.ref}' is the name of another model",
        hint="add it by itself, with a name: `add FILE NAME`",
    )


def _take_model(
    layout: Layout,
    sighting: Sighting,
    ref: ModelRef,
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> CreateReceipt:
    """Take every blob and the manifest of one of Ollama's models, as they are."""
    started = time.perf_counter()
    theirs = Layout(sighting.place.folder)
    entry = catalogue.find(theirs, ref)
    manifest = entry.trusted()
    with open_regular(entry.path) as stream:
        data = stream.read(MAX_SIZE + 1) or b""
    if digest_of(data) != sighting.digest:
        raise StoreError(f"'{ref}' was replaced meanwhile", hint="scan again")
    weights = manifest.of_type(MODEL_TYPE)[0]
    with staging_area(layout) as area:
        taken = {
            layer.digest: take_source(
                layout,
                _checked(theirs.blob(layer.digest), layer),
                area / f"file-{index}",
                on_progress=on_progress,
                cancel=cancel,
            )
            for index, layer in enumerate(manifest.blobs())
        }
        for digest, one in taken.items():
            if one.blob.digest != digest:
                raise BlobCorrupt(
                    digest,
                    theirs.blob(digest),
                    hint=f"`ollama pull {ref}` gets it again",
                    found=one.blob.digest,
                )
        made = commit(
            layout,
            ref,
            data,
            [one.blob for one in taken.values()],
            purpose=f"adding {ref}",
            cancel=cancel,
        )
        new = [one for one in taken.values() if one.was_new]
        came = taken[weights.digest]
        return CreateReceipt(
            model=resolve_entry(layout, made),
            method=came.method if came.was_new else "present",
            size=weights.size,
            new=sum(one.blob.size for one in new),
            seconds=time.perf_counter() - started,
        )


def _checked(path: Path, layer: Layer) -> Path:
    if not path.is_file() or path.stat().st_size != layer.size:
        raise StoreError(
            f"blob {short_digest(layer.digest)} is missing or cut there",
            hint="let Ollama pull the model again",
        )
    return path
