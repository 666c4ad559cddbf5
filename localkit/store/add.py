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

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import StoreError
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.store.create import create
from localkit.store.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.layout import Layout
    from localkit.store.ref import ModelRef
    from localkit.store.stored import StoredModel
    from localkit.store.taking import AddMethod


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
    made = create(layout, ref, Recipe(path), on_progress=on_progress, cancel=cancel)
    return AddReceipt(made.model, made.method, made.size, made.seconds)


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
    if not path.resolve().is_relative_to(layout.staging.resolve()):
        raise StoreError(
            f"'{path}' was not made in the store's staging", hint="use add for it"
        )
    return add(layout, path, ref, on_progress=on_progress, cancel=cancel)
