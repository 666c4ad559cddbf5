"""``--ollama``: any command on Ollama's own store, where it lies."""

from __future__ import annotations

import atexit
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from localkit.config import settings
from localkit.errors import SourceNotFound
from localkit.kit import Kit, using

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def ollamas_store() -> Iterator[Kit]:
    """Make Ollama's own store the default for the length of a with block.

    Nothing is written there unless a command is about writing (rm, create, pull).
    What is loaded from it stays loaded afterwards, as with any kit.

    Raises:
        SourceNotFound: there is no store of Ollama's.
    """
    folders = settings().ollama_dirs
    folder = next((one for one in folders if one.is_dir()), None)
    if folder is None:
        looked = " or ".join(str(one) for one in folders)
        raise SourceNotFound(
            f"there is no Ollama store in {looked}",
            hint="let OLLAMA_MODELS name its folder",
        )
    with using(kit_of(folder)) as kit:
        yield kit


@lru_cache(maxsize=8)
def kit_of(folder: Path) -> Kit:
    """Return the kit on the store in ``folder``, made once and closed at exit."""
    kit = Kit(settings().model_copy(update={"models": folder}))
    atexit.register(kit.close)
    return kit
