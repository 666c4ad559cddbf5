"""Write ``localkit.lock``, and compare it with the store, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import (
    BlobCorrupt,
    LockDrift,
    ModelNotFound,
    SourceNotFound,
    StoreError,
)
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.store import blobs, catalogue
from localkit.store.lockfile import NAME, Lock, pin, read_lock, write_lock
from localkit.store.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.store.layout import Layout
    from localkit.store.lockfile import LockedEngine, LockedModel
    from localkit.store.ref import ModelRef
    from localkit.store.stored import StoredModel


@dataclass(frozen=True, slots=True)
class LockReceipt:
    """What writing a lock file did."""

    path: Path
    lock: Lock
    """As it is now."""
    before: Lock | None
    """As it was; None for a new one."""
    left_out: tuple[str, ...]
    """Models that could not be pinned, each with its repair."""

    @property
    def changed(self) -> bool:
        """Whether the file was written."""
        return self.lock != self.before

    def state(self, model: LockedModel) -> str:
        """Return ``pinned``, ``changed`` or ``as it was`` for one of its models."""
        old = None if self.before is None else self.before.of(model.ref)
        if old is None:
            return "pinned"
        return "as it was" if old == model else "changed"


@dataclass(frozen=True, slots=True)
class PinCheck:
    """How one pinned model stands."""

    ref: ModelRef
    pinned: str
    """Digest of its manifest in the lock file."""
    drift: StoreError | None
    """Why it is not what was pinned; None when it is."""


def write(
    layout: Layout,
    path: Path,
    refs: Sequence[ModelRef],
    engine: LockedEngine,
    *,
    update: bool = False,
    strict: bool | None = None,
) -> LockReceipt:
    """Pin ``refs``; without any, what is pinned already, or else every model.

    Args:
        layout: The store.
        path: The lock file; what it pins beside ``refs`` stays as it is.
        refs: Models to pin.
        engine: Its build, for a new file or when everything is updated.
        update: Whether pins may change to what the store has now.
        strict: Whether to refuse what is not pinned from now on; None keeps it.

    Raises:
        LockDrift: a pinned model changed and ``update`` is not given.
        ModelNotFound: no such model.
        ManifestInvalid, BlobCorrupt: a model to pin is damaged.
        StoreError: the file is damaged or cannot be written.
    """
    before = read_lock(path) if path.exists() else None
    pins = {} if before is None else {one.ref.key: one for one in before.model}
    left_out: list[str] = []
    if refs:
        wanted = [resolve(layout, ref) for ref in refs]
    elif before is not None:
        wanted = [_pinned(layout, one) for one in before.model]
    else:
        wanted, left_out = _everything(layout)
    for stored in wanted:
        old = pins.get(stored.ref.key)
        if old is not None and not update:
            compare(old, stored.digest)
        pins[stored.ref.key] = pin(stored)
    lock = Lock(
        strict=strict if strict is not None else bool(before and before.strict),
        engine=engine if before is None or (update and not refs) else before.engine,
        model=tuple(pins.values()),
    )
    if lock != before:
        write_lock(path, lock)
    return LockReceipt(path, lock, before, tuple(left_out))


def drop(path: Path, refs: Sequence[ModelRef]) -> LockReceipt:
    """Pin ``refs`` no longer; what else the lock file pins stays.

    Raises:
        StoreError: one of them is not pinned; or the file is damaged, or cannot be
            written.
    """
    before = read_lock(path)
    for ref in refs:
        if before.of(ref) is None:
            raise StoreError(
                f"'{ref}' is not pinned by {NAME}",
                hint="`localkit lock` shows what is pinned",
            )
    keys = {ref.key for ref in refs}
    left = tuple(one for one in before.model if one.ref.key not in keys)
    lock = before.model_copy(update={"model": left})
    write_lock(path, lock)
    return LockReceipt(path, lock, before, ())


def check(
    layout: Layout,
    lock: Lock,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> list[PinCheck]:
    """Hash every blob of every pinned model, and say which are what was pinned.

    Raises:
        Cancelled: ``cancel`` was raised.
    """
    checks = []
    hashed: dict[str, str] = {}
    for locked in lock.model:
        drift: StoreError | None = None
        try:
            compare(locked, catalogue.find(layout, locked.ref).digest)
            for blob in locked.blobs:
                found = hashed.get(blob.digest) or blobs.hash_of(
                    layout, blob.digest, on_progress=on_progress, cancel=cancel
                )
                hashed[blob.digest] = found
                if found != blob.digest:
                    where = layout.blob(blob.digest)
                    raise BlobCorrupt(
                        blob.digest, where, found=found, hint=repair(locked)
                    )
        except ModelNotFound:
            drift = LockDrift(
                f"'{locked.ref}' is not in the store",
                expected=locked.digest,
                hint=repair(locked),
            )
        except SourceNotFound:
            drift = LockDrift(
                f"a blob of '{locked.ref}' is missing",
                expected=blob.digest,
                hint=repair(locked),
            )
        except (LockDrift, BlobCorrupt) as error:
            drift = error
        checks.append(PinCheck(locked.ref, locked.digest, drift))
    return checks


def compare(locked: LockedModel, found: str) -> None:
    """Refuse a manifest that is not the pinned one.

    Raises:
        LockDrift: names both digests.
    """
    if found != locked.digest:
        raise LockDrift(
            f"'{locked.ref}' is not what localkit.lock pins",
            expected=locked.digest,
            found=found,
            hint=f"`localkit lock --update {locked.ref}` takes what is there, "
            f"{repair(locked)}",
        )


def repair(locked: LockedModel) -> str:
    """Return the command that brings the pinned model in."""
    return f"`localkit pull {locked.ref}@{locked.digest}` brings in what was pinned"


def none_here() -> StoreError:
    """Return the error that says that there is no lock file."""
    return StoreError(
        "there is no localkit.lock in this folder or above it",
        hint="`localkit lock` writes one",
    )


def switched_off() -> StoreError:
    """Return the error that says that locks are switched off."""
    return StoreError("LOCALKIT_LOCK is off", hint="unset it to use a lock file")


def _pinned(layout: Layout, locked: LockedModel) -> StoredModel:
    try:
        return resolve(layout, locked.ref)
    except ModelNotFound as error:
        raise LockDrift(
            f"'{locked.ref}' is not in the store",
            expected=locked.digest,
            hint=repair(locked),
        ) from error


def _everything(layout: Layout) -> tuple[list[StoredModel], list[str]]:
    """Return every model that can be loaded, and why the others cannot."""
    found, left_out = [], []
    for ref, _ in layout.all_manifests():
        try:
            found.append(resolve(layout, ref))
        except StoreError as error:
            left_out.append(error.one_line())
    return found, left_out
