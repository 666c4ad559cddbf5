"""Give a model of the store a second ref."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import StoreError
from localkit.io.regular import open_regular
from localkit.store import catalogue
from localkit.store.commit import commit
from localkit.store.digest import digest_of
from localkit.store.manifest import MAX_SIZE
from localkit.store.ref import DEFAULT_TAG

if TYPE_CHECKING:
    from localkit.store.layout import Layout
    from localkit.store.ref import ModelRef


@dataclass(frozen=True, slots=True)
class CopyReceipt:
    """What copying a model did."""

    source: ModelRef
    ref: ModelRef
    """The new one."""
    digest: str
    """Of the manifest, which both have."""


def copy(layout: Layout, source: ModelRef, target: ModelRef) -> CopyReceipt:
    """Write the manifest of ``source`` under ``target`` as well, byte for byte.

    Without a tag, ``target`` gets the tag ``latest``. What had the ref is replaced.

    Raises:
        RefError: ``target`` pins a digest.
        ModelNotFound: no such model, or several tags and none named.
        ManifestInvalid: the model is damaged.
        StoreLocked: another writer did not finish in time.
        StoreError: the store may not be written.
    """
    entry = catalogue.find(layout, source)
    entry.trusted()
    with open_regular(entry.path) as stream:
        manifest = stream.read(MAX_SIZE + 1) or b""
    if digest_of(manifest) != entry.digest:
        raise StoreError(f"'{entry.ref}' was replaced meanwhile", hint="copy it again")
    if target.tag is None and target.digest is None:
        target = target.with_tag(DEFAULT_TAG)
    made = commit(
        layout, target, manifest, (), purpose=f"copying {entry.ref} to {target}"
    )
    return CopyReceipt(entry.ref, made.ref, made.digest)
