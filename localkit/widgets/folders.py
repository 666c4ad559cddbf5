"""Text for a notebook that travels: without the folders of the machine it came from."""

from __future__ import annotations

from pathlib import Path

from localkit.config import settings


def without_folders(text: str) -> str:
    """Return ``text`` with short names for the model store and the home folder.

    A front end can save what a widget shows in the notebook.
    """
    for folder, name in (
        (settings().models_dir.expanduser().absolute(), "STORE"),
        (Path.home(), "~"),
    ):
        if folder != Path(folder.anchor):
            text = text.replace(str(folder), name)
    return text
