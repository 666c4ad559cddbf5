"""What lies in a folder that a user named."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from localkit.errors import SourceNotFound

if TYPE_CHECKING:
    from pathlib import Path


def names_in(folder: Path) -> list[str]:
    """Return the names in ``folder``, sorted.

    Raises:
        SourceNotFound: it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except OSError as error:
        raise SourceNotFound(
            f"'{folder}' cannot be read: {error.strerror}",
            hint="give a folder that you may read",
        ) from error
