"""From a Modelfile to a recipe: names and paths become models and files.

A FROM that begins like a path (``./``, ``../``, ``/``, ``~``) or ends in ``.gguf``
is one. Any other is a file where one of that name lies beside the Modelfile, as in
Ollama, and else a model of the store. Nothing is pulled.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.errors import ModelfileInvalid, ModelNotFound, RefError, SourceNotFound
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf import read_info
from localkit.io.regular import open_regular
from localkit.store.importing.beside import projector_beside
from localkit.store.importing.one_gguf import one_gguf
from localkit.store.recipe import Recipe
from localkit.store.sources.local import look_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localkit.store.layout import Layout
    from localkit.store.modelfile.modelfile import Modelfile
    from localkit.store.stored import StoredModel

    Find = Callable[[str], StoredModel]

_BEGINS = ("./", "../", "/", "~", ".\\", "..\\")


@contextmanager
def recipe_of(
    layout: Layout,
    modelfile: Modelfile,
    *,
    folder: Path,
    find: Find,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Iterator[Recipe]:
    """Give the recipe that a Modelfile is, for the length of a with block.

    Folders of weights are converted and split models merged, in the store's staging.

    Args:
        layout: The store.
        modelfile: What was read.
        folder: Where its relative paths begin.
        find: Returns the model of a ref.
        on_progress: Told about merging and converting.
        cancel: Stops both.

    Raises:
        ModelfileInvalid: FROM names two models, or none.
        ModelNotFound: FROM names a model that the store does not have.
        SourceNotFound: there is no plain file where it says.
        GGUFError, ConvertFailed: a file cannot be loaded, or a folder converted.
        DiskFull, StoreError, Cancelled: as `localkit.store.create.create`.
    """
    with ExitStack() as held:

        def as_one_gguf(path: Path) -> tuple[Path, Path, tuple[str, ...]]:
            model = held.enter_context(
                one_gguf(layout, path, on_progress=on_progress, cancel=cancel)
            )
            return model.path, model.lies_in, model.notes

        parts = _Parts(folder, find, as_one_gguf)
        for source in modelfile.sources:
            parts.take(source)
        if parts.weights is None:
            raise ModelfileInvalid(
                "FROM names no model", hint="name its weights too, or a stored model"
            )
        yield Recipe(
            parts.weights,
            projectors=tuple(parts.projectors),
            adapters=(
                *parts.adapters,
                *(_file(folder, one) for one in modelfile.adapters),
            ),
            draft=_draft(folder, modelfile.draft, find),
            template=modelfile.template,
            system=modelfile.system,
            params=modelfile.params,
            messages=modelfile.messages,
            licences=modelfile.licences,
            renderer=modelfile.renderer,
            parser=modelfile.parser,
            requires=modelfile.requires,
            notes=(*modelfile.notes, *parts.notes),
        )


class _Parts:
    """What the FROM lines so far name."""

    def __init__(
        self,
        folder: Path,
        find: Find,
        as_one_gguf: Callable[[Path], tuple[Path, Path, tuple[str, ...]]],
    ) -> None:
        self._folder = folder
        self._find = find
        self._as_one_gguf = as_one_gguf
        self.weights: Path | StoredModel | None = None
        self.projectors: list[Path] = []
        self.adapters: list[Path] = []
        self.notes: list[str] = []

    def take(self, source: str) -> None:
        """Add what one FROM line names."""
        path = _file(self._folder, source)
        if is_path(source) or os.path.exists(path):
            self._take_path(path, source)
            return
        try:
            self._set(self._find(source), source)
        except RefError as error:
            raise SourceNotFound(
                f"FROM {source[:200]} is neither a file nor the name of a model",
                hint=error.hint,
            ) from error

    def _take_path(self, path: Path, source: str) -> None:
        # Not Path.is_dir: it raises on a name that is too long.
        if not os.path.isdir(path):
            open_regular(path).close()
            kind = look_at(path).kind
            if kind == "projector":
                self.projectors.append(path)
                return
            if kind == "adapter":
                self.adapters.append(path)
                return
        weights, lies_in, notes = self._as_one_gguf(path)
        self._set(weights, source)
        self.notes += notes
        if path.is_dir():
            projector, found = projector_beside(lies_in, read_info(weights))
            self.projectors += [] if projector is None else [projector]
            self.notes += found
        if not is_path(source) and self._is_stored(source):
            self.notes.append(
                f"FROM {source} is the file beside the Modelfile; the stored model of "
                f"that name is {source}:TAG"
            )

    def _is_stored(self, source: str) -> bool:
        try:
            self._find(source)
        except (RefError, ModelNotFound):
            return False
        return True

    def _set(self, weights: Path | StoredModel, source: str) -> None:
        if self.weights is not None:
            raise ModelfileInvalid(
                f"FROM {source[:200]} names a second model",
                hint="name one, and beside it projectors or adapters only",
            )
        self.weights = weights


def is_path(source: str) -> bool:
    """Return whether a FROM can only mean a file or folder."""
    return (
        source.startswith(_BEGINS)
        or source in (".", "..")
        or source.lower().endswith(".gguf")
        or os.path.isabs(source)
    )


def _file(folder: Path, text: str) -> Path:
    try:
        return folder / Path(text).expanduser()
    except (RuntimeError, ValueError) as error:
        raise SourceNotFound(
            f"'{text[:200]}' cannot be a path: {error}", hint="write the whole path"
        ) from error


def _draft(folder: Path, text: str | None, find: Find) -> Path | None:
    if text is None:
        return None
    path = _file(folder, text)
    return path if is_path(text) or path.exists() else find(text).weights
