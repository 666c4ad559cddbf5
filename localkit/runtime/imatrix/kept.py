"""Importance matrices that were collected before are kept, and not collected again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from localkit.config import settings
from localkit.errors import GGUFError
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf.imatrix import read_imatrix
from localkit.io.atomic import make_folders
from localkit.runtime import library
from localkit.runtime.imatrix.collect import collect_imatrix

if TYPE_CHECKING:
    from pathlib import Path


def kept_imatrix(
    model: Path,
    text: str,
    *,
    digest: str,
    dataset: str,
    n_chunks: int | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Return the file of an importance matrix, collected unless the cache has it.

    It is found again by what decides its numbers: the weights (``digest``), the
    text, the chunks, and the engine.

    Raises:
        As `collect_imatrix`.
    """
    sha256 = hashlib.sha256()
    for part in (digest, dataset, text, str(n_chunks), library.version()):
        sha256.update(hashlib.sha256(part.encode()).digest())
    folder = settings().cache_dir / "imatrix"
    path = folder / f"{sha256.hexdigest()[:16]}.gguf"
    try:
        read_imatrix(path)
    except GGUFError:  # not there, or damaged
        make_folders(folder)
        collect_imatrix(
            model,
            text,
            path,
            dataset=dataset,
            n_chunks=n_chunks,
            on_progress=on_progress,
            cancel=cancel,
        )
    return path
