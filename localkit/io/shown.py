"""Paths as people read them."""

from __future__ import annotations

from pathlib import Path


def shown(path: Path) -> str:
    """Return ``path`` from the current folder, where it lies in that or below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (FileNotFoundError, ValueError):  # the folder was deleted; elsewhere
        return str(path)
