"""Who sees a cell's output while it runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from localkit.config import settings

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

Audience = Literal["front end", "terminal", "nobody"]


def audience(shell: InteractiveShell) -> Audience:
    """Return who watches: a notebook's front end, a terminal, or nobody.

    JupyterLab, Notebook 7 and VS Code name the cell in each execute request;
    nbclient, nbval, nbmake and papermill do not, and they ignore or compare what
    a stream would send. ``LOCALKIT_STREAM`` decides where this guess is wrong.
    """
    asked = settings().stream
    if asked is False:
        return "nobody"
    get_parent = getattr(shell, "get_parent", None)
    if get_parent is None:
        return "terminal" if asked or sys.stdout.isatty() else "nobody"
    metadata = get_parent().get("metadata", {})
    return "front end" if asked or "cellId" in metadata else "nobody"


def present_audience() -> Audience:
    """Return who watches the code that runs now, inside IPython or not."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        return audience(shell)
    return "terminal" if sys.stdout.isatty() else "nobody"
