"""The face of the model store."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.events import CancelToken, OnProgress, no_progress
from localkit.store import add as adding
from localkit.store import catalogue
from localkit.store import copy as copying
from localkit.store import create as creating
from localkit.store import remove as removing
from localkit.store.layout import Layout
from localkit.store.listing import listings
from localkit.store.ref import as_ref
from localkit.store.resolve import resolve
from localkit.store.sources import find_source
from localkit.store.usage import usage
from localkit.store.verify import verify
from localkit.store.writing import staging_area

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.store.add import AddReceipt
    from localkit.store.copy import CopyReceipt
    from localkit.store.create import CreateReceipt
    from localkit.store.recipe import Recipe
    from localkit.store.ref import ModelRef
    from localkit.store.registry.push import PushReceipt
    from localkit.store.remove import PruneReceipt, RemoveReceipt
    from localkit.store.stored import Listing, StoredModel
    from localkit.store.usage import Usage
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
    def layout(self) -> Layout:
        """Where everything lies in it."""
        return self._layout

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
        path: str | Path,
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
            Path(path).expanduser(),
            None if ref is None else as_ref(ref),
            on_progress=on_progress,
            cancel=cancel,
        )

    def create(
        self,
        ref: ModelRef | str | None,
        recipe: Recipe,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> CreateReceipt:
        """Make ``recipe`` the model that ``ref`` means, replacing what had the ref.

        Layers that a base has are shared with it. Without ``ref`` the model is named
        after the file of its weights; without a tag, the tag is ``latest`` for a
        variant of a stored model, else the quant in the header.

        Raises:
            SourceNotFound: there is no plain file where the recipe says.
            GGUFError: a file is no model, projector or adapter that may be loaded.
            RefError: the text is not a model ref.
            ManifestInvalid: the base is damaged.
            DiskFull, StoreLocked, StoreError, Cancelled: as `add`.
        """
        return creating.create(
            self._layout,
            None if ref is None else as_ref(ref),
            recipe,
            on_progress=on_progress,
            cancel=cancel,
        )

    def copy(self, source: ModelRef | str, target: ModelRef | str) -> CopyReceipt:
        """Give a model a second ref; both share every byte.

        Raises:
            RefError: a text is not a model ref, or the target pins a digest.
            ModelNotFound: no such model, or several tags and none named.
            ManifestInvalid: the model is damaged.
            StoreLocked: another writer did not finish in time.
            StoreError: the store may not be written.
        """
        return copying.copy(self._layout, as_ref(source), as_ref(target))

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

    def push(
        self,
        ref: ModelRef | str,
        target: ModelRef | str | None = None,
        *,
        insecure: bool = False,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> PushReceipt:
        """Send a model to a registry, as ``target``: what it does not have yet.

        Args:
            ref: Which model.
            target: What to call it there, its host with it; default: as here.
            insecure: Whether to speak plain http to a registry elsewhere.
            on_progress: Told the step and its bytes.
            cancel: Stops it.

        Raises:
            RefError: a text is not a model ref, or the target pins a digest.
            ModelNotFound: no such model, or several tags and none named.
            ManifestInvalid: the model is damaged.
            StoreError: a blob is missing or not what it was: nothing was sent.
            RegistryError: the registry refuses, fails or cannot be reached.
            Cancelled: ``cancel`` was raised; the next push goes on from there.
        """
        from localkit.store.registry.push import push

        return push(
            self._layout,
            as_ref(ref),
            None if target is None else as_ref(target),
            insecure=insecure,
            on_progress=on_progress,
            cancel=cancel,
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

    def prune(self, *, grace_s: float = 3600.0, dry_run: bool = False) -> PruneReceipt:
        """Drop blobs that no model uses and that are older than ``grace_s``.

        And downloads that nobody went on with for a day. With ``dry_run`` nothing
        changes, and the receipt says what would.

        Raises:
            StoreLocked: another writer did not finish in time.
            StoreError: the store may not be written.
        """
        return removing.prune(self._layout, grace_s=grace_s, dry_run=dry_run)

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

    def usage(self) -> Usage:
        """Count what the models take on the disk and what they share."""
        return usage(self._layout)

    # Last: below it, `list` in an annotation would mean this method.
    def list(self, prefix: str = "") -> list[Listing]:
        """Return the models whose names begin with ``prefix``, damaged ones too.

        By name; reads no weights.
        """
        return listings(self._layout, prefix)
