"""Images that options name: a file, or a value of the notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from localkit.cli.names import find
from localkit.errors import SourceNotFound, UsageError
from localkit.runtime.vision.images import Image, read_image

if TYPE_CHECKING:
    from collections.abc import Mapping

_HINT = "give a PNG, JPEG, WEBP, GIF or BMP file; in a notebook a Pillow image or bytes"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
_NONE = object()


def is_image(value: object) -> bool:
    """Return whether ``value`` may be an image; it is not read for that."""
    known = isinstance(value, Image | bytes | bytearray)
    picture = type(value).__module__.startswith("PIL.") and hasattr(value, "convert")
    path = isinstance(value, Path) and value.suffix.lower() in SUFFIXES
    return known or picture or path


def image_named(text: str, names: Mapping[str, object]) -> Image:
    """Return the image of a name in the namespace, else of a file.

    Raises:
        UsageError: there is neither, or it cannot be read.
    """
    value = find(text, names, _NONE)
    source: object = Path(text) if value is _NONE else value
    if isinstance(value, str):
        source = Path(value)
    try:
        return read_image(source)
    except SourceNotFound as error:
        msg = f"there is no image to read in {text[:60]!r}: {error}"
        raise UsageError(msg, hint=_HINT) from error
