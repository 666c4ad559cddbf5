"""Whether a store has the bytes of a file, told without reading the file.

For sure, where it is the very same file, or where its name is its digest (Ollama's
and Hugging Face's blobs). Likely, where a blob has its size and agrees in four
samples. A scan hashes nothing: hundreds of gigabytes would take an hour.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from localkit.errors import LocalkitError
from localkit.gguf.split import merged_size
from localkit.io.regular import open_regular
from localkit.store.digest import digest_of_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.store.layout import Layout

Stored = Literal["yes", "likely", "no"]
_SAMPLE = 64 << 10
_SHA256 = re.compile(r"[0-9a-f]{64}")


class StoredAlready:
    """The blobs of a store, to be asked about files."""

    def __init__(self, layout: Layout) -> None:
        """Look at every blob of ``layout``; none is read."""
        self._digests: set[str] = set()
        self._files: set[tuple[int, int]] = set()
        self._by_size: dict[int, list[Path]] = {}
        for digest, path in layout.all_blobs():
            with suppress(FileNotFoundError):
                stat = path.stat()
                self._digests.add(digest)
                self._files.add((stat.st_dev, stat.st_ino))
                self._by_size.setdefault(stat.st_size, []).append(path)

    def has(self, files: Sequence[Path]) -> Stored:
        """Return whether the store has a file, or what its parts would make."""
        if len(files) > 1:
            try:
                size = merged_size(files)
            except (LocalkitError, OSError):
                return "no"
            return "likely" if size in self._by_size else "no"
        path = files[0]
        try:
            stat = path.stat()
            if (stat.st_dev, stat.st_ino) in self._files:
                return "yes"
            digest = _digest_by_name(path)
            if digest is not None:
                return "yes" if digest in self._digests else "no"
            alike = self._by_size.get(stat.st_size, [])
            return "likely" if any(_same(path, blob) for blob in alike) else "no"
        except (OSError, LocalkitError):
            return "no"


def _digest_by_name(path: Path) -> str | None:
    """Return the digest that a content-addressed cache has named the file after."""
    name = path.resolve().name
    if path.is_symlink() and _SHA256.fullmatch(name):
        return f"sha256:{name}"
    return digest_of_name(name)


def _same(path: Path, blob: Path) -> bool:
    """Return whether two files of one size agree at four places."""
    size = path.stat().st_size
    places = {size * part // 3 for part in range(3)} | {max(size - _SAMPLE, 0)}
    with open_regular(path) as one, open_regular(blob) as other:
        for place in places:
            one.seek(place)
            other.seek(place)
            if one.read(_SAMPLE) != other.read(_SAMPLE):
                return False
    return True
