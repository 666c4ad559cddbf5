"""Which cell it is that runs, so that a conversation knows its turn."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class CellIds:
    """Names of one shell's cells."""

    def __init__(self, shell: InteractiveShell) -> None:
        """Remember no cell."""
        self._shell = shell
        self._n_runs: Counter[str] = Counter()

    def of(self, line: str, body: str) -> str | None:
        """Return the cell's name; None where nobody knows which cell it is.

        Front ends name their cells. nbclient, nbval and papermill do not, but run a
        notebook from its beginning: there the text names the cell, and how often this
        kernel has run that text, so that the same cells take the same turns in the
        next run. See design/050.
        """
        get_parent = getattr(self._shell, "get_parent", None)
        if get_parent is None:  # a terminal: a text typed again is another turn
            return None
        found = get_parent().get("metadata", {}).get("cellId")
        if isinstance(found, str) and found:
            return found[:200]
        text = hashlib.sha256(f"{line}\n{body}".encode(errors="replace")).hexdigest()
        self._n_runs[text] += 1
        return f"text:{text[:32]}:{self._n_runs[text]}"
