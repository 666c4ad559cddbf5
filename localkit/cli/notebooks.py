"""Which notebook a command means: the one that is named, or the one it runs in."""

from __future__ import annotations

from pathlib import Path

from localkit.config import settings
from localkit.errors import UsageError


def the_notebook(given: str | None) -> Path:
    """Return the path of a notebook.

    Raises:
        UsageError: none is named, and the server does not say which this is.
    """
    if given:
        return Path(given)
    own = settings().notebook
    if own is None or not own.name:
        msg = "nothing says which notebook this is"
        raise UsageError(msg, hint="give its path: NAME.ipynb")
    return own
