"""What a store holds, read from its manifests alone."""

from __future__ import annotations

import difflib
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from localkit.errors import ManifestInvalid, ModelNotFound, SourceNotFound
from localkit.io.regular import open_regular
from localkit.store.digest import digest_of
from localkit.store.manifest import MAX_SIZE, Manifest, damaged, parse_manifest
from localkit.store.ref import DEFAULT_TAG, ModelRef

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.store.layout import Layout

_Look = tuple[int, int, int, int, int]
_SETTLED_S = 2.0
_MAX_KNOWN = 10_000
# Manifests by what their files look like. Content, so it serves every store.
_known: dict[_Look, tuple[str, Manifest]] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """One manifest file, readable or not."""

    ref: ModelRef
    path: Path
    digest: str
    """Of the manifest's bytes, which Ollama calls the model's digest."""
    modified: datetime
    """When the manifest was last written, UTC."""
    manifest: Manifest | ManifestInvalid
    """What it says, or why that cannot be trusted."""

    def trusted(self) -> Manifest:
        """Return the manifest.

        Raises:
            ManifestInvalid: it is damaged; says how to repair it.
        """
        if isinstance(self.manifest, ManifestInvalid):
            raise self.manifest
        return self.manifest

    def blob_digests(self) -> set[str]:
        """Return every blob the manifest keeps alive, as far as it can be read."""
        if isinstance(self.manifest, ManifestInvalid):
            return {self.digest}
        # Newer Ollamas keep the manifest itself as a blob.
        return {self.digest, *(layer.digest for layer in self.manifest.blobs())}


def entries(layout: Layout, *, fresh: bool = False) -> Iterator[Entry]:
    """Yield every manifest of a store, damaged ones too; ``fresh`` as `read_entry`."""
    for ref, path in layout.all_manifests():
        try:
            entry = read_entry(ref, path, fresh=fresh)
        except FileNotFoundError:  # removed by another process meanwhile
            continue
        yield entry


def read_entry(ref: ModelRef, path: Path, *, fresh: bool = False) -> Entry:
    """Read one manifest file; never more than `MAX_SIZE` bytes of it.

    Args:
        ref: What it stands for.
        path: The file.
        fresh: Whether to read it even when it looks as it did: for who deletes.

    Raises:
        FileNotFoundError: it was removed since it was found.
    """
    manifest: Manifest | ManifestInvalid
    try:
        with open_regular(path) as stream:
            stat = os.fstat(stream.fileno())
            known = _known.get(_look(stat))
            if known is not None and not fresh:
                return Entry(ref, path, known[0], _date(stat), known[1])
            data = stream.read(min(stat.st_size, MAX_SIZE) + 1) or b""
    except SourceNotFound as error:
        data, stat = b"", path.lstat()
        manifest = damaged(str(ref), str(error))
    else:
        try:
            manifest = parse_manifest(data, name=str(ref))
            _keep(stat, digest_of(data), manifest)
        except ManifestInvalid as error:
            manifest = error
    return Entry(ref, path, digest_of(data), _date(stat), manifest)


def _look(stat: os.stat_result) -> _Look:
    return (
        stat.st_dev,
        stat.st_ino,
        stat.st_size,
        stat.st_mtime_ns,
        stat.st_ctime_ns,
    )


def _keep(stat: os.stat_result, digest: str, manifest: Manifest) -> None:
    """Remember a manifest that is old enough to be told from its next version.

    Clocks of file systems tick every few milliseconds, and a new file may get the
    inode of one just deleted.
    """
    if time.time() - max(stat.st_mtime, stat.st_ctime) > _SETTLED_S:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[_look(stat)] = digest, manifest


def _date(stat: os.stat_result) -> datetime:
    return datetime.fromtimestamp(stat.st_mtime, UTC)


def find(layout: Layout, ref: ModelRef) -> Entry:
    """Return the manifest that ``ref`` means.

    Without a tag: with a digest the tag that has it, else ``latest`` if there is
    one, else the only tag there is.

    Raises:
        ModelNotFound: nothing of that name, or several tags and none named;
            carries the nearest names.
    """
    ref = layout.spelled_as_stored(ref)
    if ref.tag is None:
        siblings = tags_of(layout, ref)
        if ref.digest is not None:
            siblings = _with_digest(layout, siblings, ref.digest) or siblings
        named = [tag for tag in siblings if tag.tag == DEFAULT_TAG] or siblings
        if len(named) != 1:
            raise ModelNotFound(
                str(ref),
                tags=[str(tag) for tag in siblings],
                nearest=nearest(layout, ref),
            )
        chosen = named[0]
    else:
        chosen = ref
    try:
        path = next(iter(layout.manifests_of(chosen)))
        entry = read_entry(chosen.with_tag(chosen.tag), path)
    except (StopIteration, FileNotFoundError) as error:
        raise ModelNotFound(str(ref), nearest=nearest(layout, ref)) from error
    if ref.digest not in (None, entry.digest):
        raise ModelNotFound(str(ref), nearest=[f"{entry.ref}@{entry.digest}"])
    return entry


def _with_digest(layout: Layout, refs: list[ModelRef], digest: str) -> list[ModelRef]:
    """Return the first of ``refs`` whose manifest has ``digest``, as a list."""
    for ref in refs:
        for path in layout.manifests_of(ref)[:1]:
            with suppress(FileNotFoundError):
                if read_entry(ref, path).digest == digest:
                    return [ref]
    return []


def tags_of(layout: Layout, ref: ModelRef) -> list[ModelRef]:
    """Return the refs of every tag of the model that ``ref`` names, by name."""
    key = ref.model_key
    return [stored for stored, _ in layout.all_manifests() if stored.model_key == key]


def require_tags(layout: Layout, ref: ModelRef) -> list[ModelRef]:
    """Return `tags_of` unless there are none.

    Raises:
        ModelNotFound: no model of that name; carries the nearest names.
    """
    tags = tags_of(layout, ref)
    if not tags:
        raise ModelNotFound(str(ref), nearest=nearest(layout, ref))
    return tags


def nearest(layout: Layout, ref: ModelRef) -> list[str]:
    """Return up to three names in the store that look like ``ref``."""
    names = {str(stored).lower(): str(stored) for stored, _ in layout.all_manifests()}
    wanted = str(ref.with_tag(ref.tag)).lower()
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    if not close:
        # A full name is far from a bare or shortened one, however alike they begin.
        bare = wanted.partition(":")[0]
        begins = {name[: len(bare) + 1]: name for name in names}
        found = difflib.get_close_matches(bare, begins, n=3, cutoff=0.5)
        close = [begins[beginning] for beginning in found]
    return [names[name] for name in close]
