"""Where everything of a store lies: the only code that makes paths of refs.

::

    <root>/manifests/<host>/<namespace>/<model>/<tag>      JSON, Ollama's
    <root>/manifests-v2/…                                  same, of newer Ollamas
    <root>/blobs/sha256-<64 hex>                           bytes, Ollama's
    <root>/.localkit/lock                                  one writer at a time
    <root>/.localkit/records/sha256-<64 hex>.json          what a blob looked like
    <root>/.localkit/headers/sha256-<64 hex>.json          what a GGUF's header says
    <root>/.localkit/staging/<random>/                     files in the making
    <root>/.localkit/partial/sha256-<64 hex>…              downloads to be resumed
    <root>/.localkit/uploads/sha256-<64 hex>.<place>.json   pushes to be resumed

Ollama ignores ``.localkit``. Files in the making do not lie in ``blobs``, where
it deletes what it does not know.

Newer Ollamas keep a manifest as a blob and put a link to it into
``manifests-v2``; where a name is in both, that one counts. It is read, and never
written: its readers fall back to ``manifests``.

A ref or digest is checked when it is made, so what is joined here cannot leave
the root by its text; nor can it by a link, because links are not followed below
``manifests``, except from ``manifests-v2`` to a blob of this store.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.errors import RefError, StoreError
from localkit.store.digest import digest_of_name, file_name
from localkit.store.ref import ModelRef

if TYPE_CHECKING:
    from collections.abc import Iterator

# In the order in which they are looked at.
_TREES = ("manifests-v2", "manifests")


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of one store."""

    root: Path

    @property
    def is_ours(self) -> bool:
        """Whether localkit was asked to write here before; Ollama's own is not."""
        return (self.root / ".localkit").is_dir()

    @property
    def lock(self) -> Path:
        """Lock file of whoever writes."""
        return self.root / ".localkit" / "lock"

    @property
    def staging(self) -> Path:
        """Folder of files in the making, on the file system of the blobs."""
        return self.root / ".localkit" / "staging"

    def partial(self, digest: str, suffix: str = "") -> Path:
        """Return where an unfinished download of a blob lies, or a file beside it.

        Raises:
            RefError: ``digest`` is not a digest.
        """
        return self.partials / f"{file_name(digest)}{suffix}"

    @property
    def partials(self) -> Path:
        """Folder of the unfinished downloads."""
        return self.root / ".localkit" / "partial"

    def upload(self, digest: str, place: str) -> Path:
        """Return where it is noted how far a push of a blob to a registry came.

        Args:
            digest: The blob.
            place: Hexadecimal digits that stand for the registry and the model.

        Raises:
            RefError: ``digest`` is not a digest, or ``place`` is anything else.
        """
        if not place.isalnum() or not place.isascii():
            raise RefError(f"{place[:80]!r} does not stand for a place")
        name = f"{file_name(digest)}.{place}.json"
        return self.root / ".localkit" / "uploads" / name

    @property
    def blobs(self) -> Path:
        """Folder of all blobs."""
        return self.root / "blobs"

    def blob(self, digest: str) -> Path:
        """Return where the blob of ``digest`` lies, or would.

        Raises:
            RefError: ``digest`` is not a digest.
        """
        return self.blobs / file_name(digest)

    def blob_size(self, digest: str) -> int | None:
        """Return how many bytes the blob of ``digest`` has; None when it is not here.

        Raises:
            RefError: ``digest`` is not a digest.
        """
        # Text, not a Path: lists ask thousands of times.
        try:
            return os.stat(f"{self.root}/blobs/{file_name(digest)}").st_size
        except FileNotFoundError:
            return None

    def record(self, digest: str) -> Path:
        """Return where the record about a blob lies, or would.

        Raises:
            RefError: ``digest`` is not a digest.
        """
        return self.root / ".localkit" / "records" / f"{file_name(digest)}.json"

    def header(self, digest: str) -> Path:
        """Return where the record of a blob's GGUF header lies, or would.

        Raises:
            RefError: ``digest`` is not a digest.
        """
        return self.root / ".localkit" / "headers" / f"{file_name(digest)}.json"

    def manifest(self, ref: ModelRef) -> Path:
        """Return where the manifest of ``ref`` is to be written.

        Raises:
            RefError: the ref has no tag, or a link leads out of the store.
        """
        return self._manifest_in("manifests", ref)

    def manifests_of(self, ref: ModelRef) -> list[Path]:
        """Return the files that hold a manifest of ``ref``, the valid one first.

        Raises:
            RefError: the ref has no tag, or a link leads out of the store.
        """
        paths = (self._manifest_in(tree, ref) for tree in _TREES)
        return [path for path in paths if self._is_manifest(path)]

    def _manifest_in(self, tree: str, ref: ModelRef) -> Path:
        if ref.tag is None:
            raise RefError(f"'{ref}' names no tag", hint=f"write {ref.model}:TAG")
        if os.name == "nt" and ":" in ref.host:
            raise RefError(
                f"a host with a port ('{ref.host}') cannot be stored on Windows"
            )
        folder = self.root / tree
        for part in (ref.host, ref.namespace, ref.model):
            folder = folder / part
            if folder.is_symlink():
                raise RefError(
                    f"{folder} is a link, which may lead out of the store",
                    hint="put a real folder in its place",
                )
        return folder / ref.tag

    def _is_manifest(self, path: Path) -> bool:
        if not path.is_symlink():
            return path.is_file()
        target = path.resolve()
        return (
            target.parent == self.blobs.resolve()
            and digest_of_name(target.name) is not None
            and target.is_file()
        )

    def all_manifests(self) -> Iterator[tuple[ModelRef, Path]]:
        """Yield the ref and file of every manifest here, damaged ones too.

        Files and folders whose names are no part of a ref are passed over.
        """
        seen = set()
        for tree in _TREES:
            for host in _entries(self.root / tree, folders=True):
                for namespace in _entries(host.path, folders=True):
                    for model in _entries(namespace.path, folders=True):
                        for tag in _entries(model.path, folders=False):
                            parts = host.name, namespace.name, model.name, tag.name
                            if parts in seen or not (ref := _ref_of(*parts)):
                                continue
                            path = Path(tag.path)
                            if not tag.is_symlink() or self._is_manifest(path):
                                seen.add(parts)
                                yield ref, path

    def all_blobs(self) -> Iterator[tuple[str, Path]]:
        """Yield the digest and path of every blob here, by digest."""
        if self.blobs.is_dir():
            for path in sorted(self.blobs.iterdir()):
                digest = digest_of_name(path.name)
                if digest is not None:
                    yield digest, path

    def unfinished(self) -> Iterator[Path]:
        """Yield the files of downloads and of models in the making, Ollama's too."""
        for folder in (self.staging, self.partials):
            yield from (path for path in folder.rglob("*") if path.is_file())
        if self.blobs.is_dir():
            for path in self.blobs.iterdir():
                if digest_of_name(path.name) is None and path.is_file():
                    yield path

    def spelled_as_stored(self, ref: ModelRef) -> ModelRef:
        """Return ``ref`` with the capitals that the store already uses for it."""
        if ref.tag is not None and self.manifests_of(ref):
            return ref
        spelled = ref
        for stored, _ in self.all_manifests():
            if stored.key == ref.key:
                return replace(stored, digest=ref.digest)
            if stored.model_key == ref.model_key:
                spelled = replace(stored, tag=ref.tag, digest=ref.digest)
        return spelled


def _entries(path: Path | str, *, folders: bool) -> list[os.DirEntry[str]]:
    """Return the real folders in ``path``, or what is none, by name."""
    try:
        with os.scandir(path) as entries:
            found = [e for e in entries if e.is_dir(follow_symlinks=False) is folders]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise StoreError(
            f"{path} may not be read",
            hint="ask its owner for read permission, or set LOCALKIT_MODELS",
        ) from error
    return sorted(found, key=lambda entry: entry.name)


def _ref_of(host: str, namespace: str, model: str, tag: str) -> ModelRef | None:
    try:
        return ModelRef(host=host, namespace=namespace, model=model, tag=tag)
    except RefError:
        return None
