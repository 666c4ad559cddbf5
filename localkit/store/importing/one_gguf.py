"""Whatever a path names, as one GGUF file."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import GGUFError, SourceNotFound
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf.split import merge, whole_name
from localkit.store.importing.converter import OutType, convert, require_converter
from localkit.store.importing.weights_folder import (
    check_weights_folder,
    is_weights_folder,
)
from localkit.store.sources.local import Found, gguf_files, look_at, look_at_all
from localkit.store.writing import remove_abandoned, staging_area

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.store.layout import Layout


@dataclass(frozen=True, slots=True)
class OneGGUF:
    """A model as one file."""

    path: Path
    """The file; in the store's staging, to be moved in, when it was made here."""
    lies_in: Path
    """File or folder that it came from."""
    notes: tuple[str, ...] = ()
    """What was done to make it one."""


@contextmanager
def one_gguf(
    layout: Layout,
    path: Path,
    *,
    outtype: OutType = "auto",
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Iterator[OneGGUF]:
    """Give the model at ``path`` as one GGUF, for the length of a with block.

    A GGUF is given as it is, where it is. The parts of a split model are merged, a
    folder of safetensors is converted, both into the store's staging; a folder that
    holds one GGUF model stands for it.

    Raises:
        SourceNotFound: there is no such file or folder, the folder holds no model, or
            several; lists them.
        GGUFError: the file is not a model that may be loaded.
        ConvertFailed: the folder of weights cannot be made into a GGUF.
        DiskFull: merging or converting does not fit.
        Cancelled: ``cancel`` was raised.
    """
    # Not Path.is_dir: it raises on a name that is too long.
    is_folder = os.path.isdir(path)
    if is_folder and not gguf_files(path) and is_weights_folder(path):
        folder = check_weights_folder(path)
        require_converter()
        remove_abandoned(layout)
        with staging_area(layout) as area:
            made = area / f"{model_name(path)}.gguf"
            convert(
                folder, made, outtype=outtype, on_progress=on_progress, cancel=cancel
            )
            n = len(folder.weights)
            note = f"converted {folder.architecture} from {n} safetensors file" + (
                "s" if n > 1 else ""
            )
            yield OneGGUF(made, path, (note,))
        return
    found = only_model(path) if is_folder else look_at(path)
    _require_model(found)
    if len(found.files) == 1:
        yield OneGGUF(found.path, found.path)
        return
    remove_abandoned(layout)
    with staging_area(layout) as area:
        merged = area / whole_name(found.path)
        merge(found.files, merged, on_progress=on_progress, cancel=cancel)
        yield OneGGUF(merged, found.path, (f"merged {len(found.files)} parts",))


def only_model(folder: Path) -> Found:
    """Return the one model among the GGUF files of a folder.

    Raises:
        SourceNotFound: there is none, or several; lists them.
    """
    models = models_in(folder)
    if len(models) == 1:
        return models[0]
    shown = "; ".join(
        f"{whole_name(one.path)} ({one.info.label})" for one in models[:20] if one.info
    )
    raise SourceNotFound(
        f"'{folder}' holds {len(models)} models: {shown}"
        + ("; …" if len(models) > 20 else ""),
        hint="give the path of one, or --all to add each",
    )


def models_in(folder: Path) -> list[Found]:
    """Return every model among the GGUF files of a folder, by name.

    Raises:
        SourceNotFound: there is none; says what is there instead.
    """
    found = look_at_all(gguf_files(folder))
    models = [one for one in found if one.kind == "model"]
    if models:
        return models
    broken = [one for one in found if one.trouble is not None]
    if broken and broken[0].trouble is not None:
        raise SourceNotFound(
            f"'{folder}' holds no model that can be added: "
            f"{broken[0].path.name}: {broken[0].trouble}",
            hint=broken[0].trouble.hint,
        )
    kinds = sorted({f"{one.path.name} ({one.kind})" for one in found})
    what = f"only {', '.join(kinds[:5])}" if kinds else "no GGUF and no safetensors"
    raise SourceNotFound(
        f"'{folder}' holds {what}",
        hint=f"give a model's file; `scan {folder}` looks into sub-folders too",
    )


def model_name(folder: Path) -> str:
    """Return what to call the model in a folder of weights."""
    real = folder.resolve()
    if real.parent.name == "snapshots":  # Hugging Face's cache: models--ORG--NAME
        return real.parent.parent.name.rpartition("--")[2]
    return re.sub(r"[^\w.-]", "-", real.name) or "model"


def _require_model(found: Found) -> None:
    if found.kind == "adapter":
        raise GGUFError(
            f"{found.path.name} is a LoRA adapter, "
            "which does nothing without its model",
            hint=f"`add {found.path.name} --adapter-of MODEL` makes a model of both",
        )
    if found.kind == "projector":
        raise GGUFError(
            f"{found.path.name} is a projector, which does nothing without its model",
            hint=f"`add MODEL.gguf --projector {found.path.name}` adds both",
        )
