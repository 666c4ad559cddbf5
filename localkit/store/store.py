"""The face of the model store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from localkit.events import CancelToken, OnProgress, no_progress
from localkit.store import add as adding
from localkit.store import catalogue
from localkit.store import remove as removing
from localkit.store.layout import Layout
from localkit.store.ref import as_ref
from localkit.store.resolve import listing, resolve
from localkit.store.sources import find_source
from localkit.store.verify import verify
from localkit.store.writing import staging_area

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.store.add import AddReceipt
    from localkit.store.ref import ModelRef
    from localkit.store.remove import PruneReceipt, RemoveReceipt
    from localkit.store.stored import Listing, StoredModel
    from localkit.store.verify import BlobCheck


class Store:
    """A folder of models in Ollama's layout; any Ollama store opens as it is.

    Safe to use from many threads and processes. Reading never writes to the
    models and works on a store that may only be read. Nothing is created before
    the first model is added.
    """

    def __init__(self, root: Path) -> None:
        """Look at the store in ``root``, which need not exist yet."""
        self._layout = Layout(root.expanduser().absolute())

    def __repr__(self) -> str:
        """Return how this store is made."""
        return f"Store({str(self.root)!r})"

    @property
    def root(self) -> Path:
        """The store's folder."""
        return self._layout.root

    def resolve(
        self,
        ref: ModelRef | str,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> StoredModel:
        """Return the model that ``ref`` means, ready to load.

        Without a tag: ``latest`` if there is one, else the only tag there is.
        Weights whose file changed since they were hashed are hashed again.

        Raises:
            RefError: the text is not a model ref.
            ModelNotFound: no such model, or several tags and none named.
            ManifestInvalid: the model is damaged.
            BlobCorrupt: the weights are not what they were.
            StoreError: the model is not one GGUF file.
            Cancelled: ``cancel`` was raised.
        """
        return resolve(
            self._layout, as_ref(ref), on_progress=on_progress, cancel=cancel
        )

    def tags(self, ref: ModelRef | str) -> list[ModelRef]:
        """Return every tag of a model, whatever tag ``ref`` names; by name.

        Raises:
            RefError: the text is not a model ref.
            ModelNotFound: no model of that name.
        """
        return catalogue.require_tags(self._layout, as_ref(ref))

    def add(
        self,
        path: Path,
        ref: ModelRef | str | None = None,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> AddReceipt:
        """Add the GGUF at ``path``, without copying its bytes where that can be.

        Without ``ref`` the model is named after the file; without a tag, the tag
        is the quant in the header. A model that has the ref already is replaced.

        Raises:
            SourceNotFound: there is no plain file at ``path``.
            GGUFError: it is not a GGUF that may be loaded.
            RefError: the text is not a model ref.
            DiskFull: it does not fit; the store is as it was.
            StoreLocked: another writer did not finish in time.
            StoreError: the store may not be written, or the file changed meanwhile.
            Cancelled: ``cancel`` was raised; the store is as it was.
        """
        return adding.add(
            self._layout,
            path.expanduser(),
            None if ref is None else as_ref(ref),
            on_progress=on_progress,
            cancel=cancel,
        )

    @contextmanager
    def staging(self, suffix: str = ".gguf") -> Iterator[Path]:
        """Give the path of a file to be made, on the store's file system.

        Hand the finished file to `adopt` inside the block; whatever is still
        there at its end is removed.

        Raises:
            DiskFull: the disk is full.
            StoreError: the store may not be written.
        """
        with staging_area(self._layout) as area:
            yield area / f"model{suffix}"

    def adopt(
        self,
        path: Path,
        ref: ModelRef | str,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> AddReceipt:
        """Add a file made at a `staging` path: as `add`, but it is moved in."""
        return adding.adopt(
            self._layout, path, as_ref(ref), on_progress=on_progress, cancel=cancel
        )

    def pull(
        self,
        source: str,
        ref: ModelRef | str | None = None,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> AddReceipt:
        """Add the model that ``pkg:NAME`` or ``pkg:NAME/FILE.gguf`` stands for.

        Raises:
            SourceNotFound: no such source; says which there are. And as `add`.
        """
        return self.add(
            find_source(source), ref, on_progress=on_progress, cancel=cancel
        )

    def remove(self, ref: ModelRef | str) -> RemoveReceipt:
        """Drop a model, and the blobs that no other model uses.

        Raises:
            RefError: the text is not a model ref.
            ModelNotFound: no such model, or several tags and none named.
            StoreLocked: another writer did not finish in time.
            StoreError: the store may not be written.
        """
        return removing.remove(self._layout, as_ref(ref))

    def prune(self, *, grace_s: float = 3600.0) -> PruneReceipt:
        """Drop blobs that no model uses and that are older than ``grace_s``.

        Raises:
            StoreLocked: another writer did not finish in time.
            StoreError: the store may not be written.
        """
        return removing.prune(self._layout, grace_s=grace_s)

    def verify(
        self,
        ref: ModelRef | str | None = None,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> list[BlobCheck]:
        """Hash every blob of a model, or of the store, and say which are right.

        Raises:
            RefError: the text is not a model ref.
            ModelNotFound: no such model.
            ManifestInvalid: the one model asked for is damaged.
            Cancelled: ``cancel`` was raised.
        """
        return verify(
            self._layout,
            None if ref is None else as_ref(ref),
            on_progress=on_progress,
            cancel=cancel,
        )

    # Last: below it, `list` in an annotation would mean this method.
    def list(self) -> list[Listing]:
        """Return every model, damaged ones too, by name; reads no weights."""
        lines = [
            listing(self._layout, entry) for entry in catalogue.entries(self._layout)
        ]
        return sorted(lines, key=lambda line: str(line.ref).lower())
