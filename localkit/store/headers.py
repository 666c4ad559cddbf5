"""What the headers of weights say, kept so that they are read once.

A vocabulary of 49,000 tokens takes 26 ms to read and digest, one of 262,000 five
times that; the record of it takes 1 ms. It counts while the blob has the size and
date that it had, for this version of localkit alone. Ollama's own store gets none:
nothing is written there.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import typing
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from localkit.errors import SourceNotFound
from localkit.gguf import read_info
from localkit.gguf.info import ModelInfo
from localkit.io.regular import open_regular
from localkit.version import __version__

if TYPE_CHECKING:
    import os

    from localkit.store.layout import Layout

# To be raised when the same header would give another `ModelInfo`.
_FORMAT = 2
_MAX_SIZE = 4 << 20


def header_info(layout: Layout, digest: str) -> ModelInfo:
    """Return what the header of the blob ``digest`` says.

    Raises:
        GGUFError: it is not a GGUF that can be read.
    """
    blob = layout.blob(digest)
    look = _look(blob.stat())
    known = _read(layout.header(digest), look, blob)
    if known is not None:
        return known
    info = read_info(blob)
    # Read while someone wrote to it: the next reader shall look again.
    if layout.is_ours and _look(blob.stat()) == look:
        values = {**dataclasses.asdict(info), "path": "", "look": look}
        with suppress(OSError):
            _write(layout, digest, json.dumps(values).encode())
    return info


def _write(layout: Layout, digest: str, data: bytes) -> None:
    """Write a record; not flushed, because a torn one is read as none."""
    target = layout.header(digest)
    target.parent.mkdir(exist_ok=True)
    unfinished = layout.staging / f"{secrets.token_hex(8)}.json"
    try:
        with unfinished.open("xb") as stream:
            stream.write(data)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _look(stat: os.stat_result) -> list[str | int]:
    return [__version__, _FORMAT, stat.st_size, stat.st_mtime_ns]


def _read(record: Path, look: list[str | int], blob: Path) -> ModelInfo | None:
    try:
        with open_regular(record) as stream:
            values = json.loads(stream.read(_MAX_SIZE) or b"")
        if not isinstance(values, dict) or values.pop("look", None) != look:
            return None
        known = _record().model_validate(values)
    except (SourceNotFound, ValidationError, ValueError, RecursionError):
        return None
    return ModelInfo(**{**dict(known), "path": blob})


@lru_cache(maxsize=1)
def _record() -> type[BaseModel]:
    """Return a model with the fields of `ModelInfo`, which checks their types."""
    hints = typing.get_type_hints(ModelInfo, localns={"Path": Path})
    fields: dict[str, Any] = {name: (hint, ...) for name, hint in hints.items()}
    config = ConfigDict(extra="forbid", protected_namespaces=())
    return create_model("HeaderRecord", __config__=config, **fields)
