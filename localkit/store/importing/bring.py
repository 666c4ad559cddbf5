"""Bring a model in from a file or folder of this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from localkit.errors import AdapterInvalid, LocalkitError, SourceNotFound
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf import read_info
from localkit.gguf.projector import check_projector
from localkit.io.regular import open_regular
from localkit.store.create import CreateReceipt, create
from localkit.store.importing.adapters import check_belongs
from localkit.store.importing.beside import check_fits, projector_beside
from localkit.store.importing.one_gguf import models_in, one_gguf
from localkit.store.names import part_of_ref
from localkit.store.recipe import Recipe
from localkit.store.ref import ModelRef
from localkit.store.sources.local import look_at

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.importing.converter import OutType
    from localkit.store.layout import Layout
    from localkit.store.stored import StoredModel


def bring_in(
    layout: Layout,
    path: Path,
    ref: ModelRef | None = None,
    *,
    projector: Path | None = None,
    look_beside: bool = True,
    outtype: OutType = "auto",
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> CreateReceipt:
    """Add the model at ``path``, whatever form it has; see `one_gguf`.

    Args:
        layout: The store.
        path: GGUF, any part of a split one, a folder that holds one of these, or a
            folder of safetensors.
        ref: What to call it; by default after the file and its quant.
        projector: GGUF that turns images into embeddings for it.
        look_beside: Take the projector that lies beside it, when there is one.
        outtype: What safetensors become.
        on_progress: Told about merging, converting, hashing and copying.
        cancel: Stops all of these.

    Raises:
        SourceNotFound: there is no such file, or not one model; lists them.
        GGUFError, ConvertFailed: it cannot be loaded, or made into a GGUF.
        RefError: ``ref`` pins a digest.
        DiskFull, StoreLocked, StoreError, Cancelled: as `create`.
    """
    if projector is not None:
        # Merging and converting take long; what can be refused is refused before.
        open_regular(projector).close()
        check_projector(projector)
    with one_gguf(
        layout, path, outtype=outtype, on_progress=on_progress, cancel=cancel
    ) as model:
        info = read_info(model.path)
        notes = model.notes
        if projector is not None:
            check_fits(projector, info)
        elif look_beside:
            projector, found = projector_beside(model.lies_in, info)
            notes += found
        recipe = Recipe(
            model.path,
            projectors=() if projector is None else (projector,),
            notes=notes,
        )
        return create(layout, ref, recipe, on_progress=on_progress, cancel=cancel)


def bring_in_adapter(
    layout: Layout,
    path: Path,
    base: StoredModel,
    ref: ModelRef | None = None,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> CreateReceipt:
    """Make a model of a stored one and the LoRA adapter at ``path``.

    Both share the weights. By default it is called after both, with the base's tag.

    Raises:
        SourceNotFound: there is no such file.
        GGUFError: it is no GGUF.
        AdapterInvalid: it is no adapter, or one for another model.
        RefError, DiskFull, StoreLocked, StoreError, Cancelled: as `create`.
    """
    found = look_at(path)
    if found.kind != "adapter":
        raise AdapterInvalid(
            f"{path.name} is a {found.kind}, not a LoRA adapter",
            hint="leave --adapter-of out to add it by itself",
        )
    check_belongs(path, base)
    if ref is None:
        name = part_of_ref(f"{base.ref.model}-{path.stem}")
        ref = ModelRef(model=name or base.ref.model, tag=base.ref.tag)
    recipe = Recipe(base, adapters=(path,))
    return create(layout, ref, recipe, on_progress=on_progress, cancel=cancel)


def bring_in_all(
    layout: Layout,
    folder: Path,
    *,
    look_beside: bool = True,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> list[CreateReceipt | LocalkitError]:
    """Add every model among the GGUF files of a folder.

    What cannot be added is in the list as the error that says why; the others are
    added all the same.

    Raises:
        SourceNotFound: the folder holds no model.
        Cancelled: ``cancel`` was raised; what came in before stays.
    """
    if not os.path.isdir(folder):
        raise SourceNotFound(
            f"'{folder}' is not a folder", hint="leave --all out to add one file"
        )
    receipts: list[CreateReceipt | LocalkitError] = []
    for found in models_in(folder):
        try:
            receipts.append(
                bring_in(
                    layout,
                    found.path,
                    look_beside=look_beside,
                    on_progress=on_progress,
                    cancel=cancel,
                )
            )
        except LocalkitError as error:
            if cancel is not None and cancel.cancelled:
                raise
            receipts.append(error)
    return receipts
