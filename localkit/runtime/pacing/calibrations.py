"""What was measured at earlier loads, in one small file of the cache folder.

It can be measured again, so nothing about it may fail a load: a file that cannot
be read counts as empty, and one that cannot be written is not.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from localkit.config import settings
from localkit.io.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import TypeAdapter

Seconds: TypeAlias = dict[int, float]

_NAME = "calibration.json"
# Machines and models that a home folder has seen; the oldest make room.
_MOST_ENTRIES = 64
_MOST_BYTES = 256 * 2**10


def recall(key: str) -> Seconds:
    """Return seconds a token by thread count, empty when ``key`` is new."""
    return _read(_file()).get(key, {})


def remember(key: str, seconds: Mapping[int, float]) -> None:
    """Keep ``seconds`` for the next load; the last of two writers wins."""
    file = _file()
    entries = _read(file)
    entries.pop(key, None)
    entries[key] = dict(seconds)
    kept = dict(list(entries.items())[-_MOST_ENTRIES:])
    try:
        write_atomic(file, _format().dump_json(kept, indent=1))
    except OSError:
        return  # a read-only or full disk: the next load measures again


def _file() -> Path:
    return settings().cache_dir / _NAME


def _read(file: Path) -> dict[str, Seconds]:
    try:
        with file.open("rb") as stream:
            text = stream.read(_MOST_BYTES + 1)
    except OSError:
        return {}
    if len(text) > _MOST_BYTES:
        return {}
    try:
        return _format().validate_json(text)
    except ValueError:
        return {}


@cache
def _format() -> TypeAdapter[dict[str, Seconds]]:
    from typing import Annotated

    from pydantic import Field, TypeAdapter

    seconds = Annotated[float, Field(gt=0, lt=3600, allow_inf_nan=False)]
    count = Annotated[int, Field(ge=1, le=512)]
    return TypeAdapter(dict[str, dict[count, seconds]])
