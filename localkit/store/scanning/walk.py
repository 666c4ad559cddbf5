"""Find GGUF files below a folder: bounded, and never in circles.

Folders are not entered through links. A file may be a link, as in Hugging Face's
cache; under however many names it lies, it is found once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from localkit.store.sources.local import is_gguf_name

MAX_DEPTH = 8
"""Folders below the one that was named: caches have up to five."""
MAX_ENTRIES = 200_000
"""Names that are looked at below one folder."""
MAX_FOUND = 2_000
"""GGUF files that are returned of one folder."""


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk found."""

    files: tuple[Path, ...]
    """By path."""
    cuts: tuple[str, ...]
    """What was left out, and why; empty when everything was looked at."""


def find_gguf_files(
    folder: Path,
    *,
    max_depth: int = MAX_DEPTH,
    max_entries: int = MAX_ENTRIES,
    max_found: int = MAX_FOUND,
) -> Walked:
    """Return every GGUF file below ``folder``; one that cannot be read is passed by."""
    found: dict[object, Path] = {}
    cuts: list[str] = []
    level, n_entries = [folder], 0
    for _ in range(max_depth + 1):
        deeper: list[Path] = []
        for here in level:
            entries = _entries(here)
            if entries is None:
                cuts.append(f"{here} may not be read")
                continue
            n_entries += len(entries)
            if n_entries > max_entries:
                cuts.append(f"more than {max_entries} files: {here} was not looked at")
                return Walked(_sorted(found), tuple(cuts))
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    deeper.append(Path(entry.path))
                elif is_gguf_name(entry.name) and (which := _which(entry)):
                    if len(found) == max_found and which not in found:
                        cuts.append(f"more than {max_found} GGUF files below {folder}")
                        return Walked(_sorted(found), tuple(cuts))
                    found.setdefault(which, Path(entry.path))
        level = deeper
        if not level:
            break
    if level:
        cuts.append(f"{len(level)} folders lie deeper than {max_depth}: {level[0]}")
    return Walked(_sorted(found), tuple(cuts))


def _entries(folder: Path) -> list[os.DirEntry[str]] | None:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return None


def _which(entry: os.DirEntry[str]) -> tuple[int, int] | str:
    """Return what tells one file from another, whatever it is called."""
    try:
        stat = entry.stat()
    except OSError:  # a link to nothing, or to itself
        return entry.path
    # Windows has no inode numbers here.
    return (stat.st_dev, stat.st_ino) if stat.st_ino else entry.path


def _sorted(found: dict[object, Path]) -> tuple[Path, ...]:
    return tuple(sorted(found.values()))
