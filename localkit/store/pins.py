"""Hold a store's models to ``localkit.lock``.

Every way to load a model passes `Pins.hold`. A pinned ref must still name the
same manifest. Of its blobs the small ones (template, system message, params,
licence) are hashed each time; weights are taken as intact while their size and
date are those of their last hashing, and are hashed when not. What changes neither
is found by `localkit lock --check`, which hashes everything.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.errors import LockDrift
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.io.shown import shown
from localkit.store import blobs, locking
from localkit.store.layers import MAX_SIZE, read_bytes
from localkit.store.lockfile import NAME, find_lock, read_lock
from localkit.store.locking import compare, repair
from localkit.store.ref import DEFAULT_TAG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.store.layout import Layout
    from localkit.store.lockfile import Lock, LockedEngine
    from localkit.store.locking import LockReceipt, PinCheck
    from localkit.store.ref import ModelRef
    from localkit.store.stored import StoredModel

_OFF = "off"
_log = logging.getLogger(__name__)


class Pins:
    """The lock file in force, looked up at every use: notebooks change folders."""

    def __init__(self, layout: Layout, where: str | None = None) -> None:
        """Hold the models of a store.

        Args:
            layout: The store.
            where: Path of the lock file, or ``off``; None looks for one from the
                current folder upwards.
        """
        self._layout = layout
        self._where = where
        # Pairs of lock file and ref that a word was said about.
        self._told: set[tuple[Path, ModelRef]] = set()

    @property
    def path(self) -> Path | None:
        """The lock file in force; None without one."""
        if self._where is not None:
            return None if self._where == _OFF else Path(self._where).expanduser()
        folder = _current_folder()
        return None if folder is None else find_lock(folder)

    @property
    def lock(self) -> Lock | None:
        """What it says; None without one.

        Raises:
            StoreError: it is damaged, or not where the settings say.
        """
        path = self.path
        if path is None:
            return None
        try:
            stat = path.stat()
        except OSError:
            return read_lock(path)
        return _read(path, stat.st_mtime_ns, stat.st_size)

    def meant(self, ref: ModelRef) -> ModelRef:
        """Return ``ref`` with the tag that is pinned, when it names none.

        Otherwise a tag that came later would quietly take the place of the pinned
        one. Where several tags are pinned, the store's rule decides.
        """
        lock = self.lock
        if ref.tag is not None or lock is None:
            return ref
        tags = lock.tags_of(ref)
        named = [tag for tag in tags if tag.tag == DEFAULT_TAG] or tags
        return replace(named[0], digest=ref.digest) if len(named) == 1 else ref

    def hold(
        self,
        stored: StoredModel,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> None:
        """Let a model pass if it is what was pinned, or was not.

        Raises:
            LockDrift: it is something else: names both digests. Or it is not
                pinned, and the lock file is strict.
            BlobCorrupt: bytes of it changed: names both digests.
            StoreError: the lock file is damaged.
            Cancelled: ``cancel`` was raised.
        """
        lock, path = self.lock, self.path
        if lock is None or path is None:
            return
        locked = lock.of(stored.ref)
        if locked is None:
            self._unpinned(stored.ref, path, strict=lock.strict)
            return
        compare(locked, stored.digest)
        for layer in stored.manifest.blobs():
            if layer.size <= MAX_SIZE:
                read_bytes(self._layout, layer, ref=str(stored.ref))
            else:
                blobs.require_usable(
                    self._layout,
                    layer.digest,
                    layer.size,
                    repair=repair(locked),
                    on_progress=on_progress,
                    cancel=cancel,
                )

    def notes(self, engine: str) -> tuple[str, ...]:
        """Return what to say of a result that the build ``engine`` computed."""
        lock = self.lock
        if lock is None or lock.engine.build == engine:
            return ()
        return (f"computed by {engine}, but {NAME} pins {lock.engine.build}",)

    def repair(self, ref: ModelRef) -> str:
        """Return how to get what is pinned for ``ref``; empty when nothing is."""
        lock = self.lock
        locked = None if lock is None or ref.tag is None else lock.of(ref)
        return "" if locked is None else repair(locked)

    def write(
        self,
        refs: Sequence[ModelRef],
        engine: LockedEngine,
        *,
        update: bool = False,
        strict: bool | None = None,
    ) -> LockReceipt:
        """Write the lock file in force, or a new one in the current folder.

        See `localkit.store.locking.write`.
        """
        path = self.path
        if path is None and self._where == _OFF:
            raise locking.switched_off()
        return locking.write(
            self._layout,
            path or Path.cwd() / NAME,
            refs,
            engine,
            update=update,
            strict=strict,
        )

    def drop(self, refs: Sequence[ModelRef]) -> LockReceipt:
        """Pin ``refs`` no longer, in the lock file in force.

        Raises:
            StoreError: there is no lock file, or one of them is not pinned.
        """
        path = self.path
        if path is None:
            raise locking.switched_off() if self._where else locking.none_here()
        return locking.drop(path, refs)

    def check(
        self,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> list[PinCheck]:
        """Hash every blob of every pinned model.

        Raises:
            StoreError: there is no lock file, or it is damaged.
            Cancelled: ``cancel`` was raised.
        """
        lock = self.lock
        if lock is None:
            raise locking.switched_off() if self._where else locking.none_here()
        return locking.check(self._layout, lock, on_progress=on_progress, cancel=cancel)

    def _unpinned(self, ref: ModelRef, path: Path, *, strict: bool) -> None:
        if strict:
            raise LockDrift(
                f"'{ref}' is not pinned by {shown(path)}, which is strict",
                hint=f"`localkit lock {ref}` pins it",
            )
        if (path, ref) not in self._told:
            self._told.add((path, ref))
            _log.warning(
                "'%s' is not pinned by %s → `localkit lock %s` pins it",
                ref,
                shown(path),
                ref,
            )


def _current_folder() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it was deleted
        return None


@lru_cache(maxsize=16)
def _read(path: Path, _mtime_ns: int, _size: int) -> Lock:
    """Read a lock file again only when it looks different: every cell asks."""
    return read_lock(path)
