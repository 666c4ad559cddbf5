"""The parts of a message: text and images in turn, as the OpenAI API has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.errors import UsageError
from localkit.runtime.vision.images import image_of_url, read_image

if TYPE_CHECKING:
    from localkit.runtime.vision.images import Image


class PlacedImage(NamedTuple):
    """An image among the text of a message."""

    at: int
    """Index of the character it stands before."""
    image: Image


def read_parts(content: Iterable[object]) -> tuple[str, tuple[PlacedImage, ...]]:
    """Return the text of a content list, and the images in it.

    A part is a text, ``{"type": "text", "text": …}``, ``{"type": "image_url",
    "image_url": {"url": "data:image/…"}}``, or ``{"type": "image", "image": …}``
    with bytes, a `pathlib.Path` or a Pillow image. Two texts in a row become two
    lines, as llama.cpp's server has it.

    Raises:
        UsageError: a part is something else, or holds no image that can be read.
    """
    text, images = "", list[PlacedImage]()
    after_text = False
    for part in content:
        found = _part(part)
        if isinstance(found, str):
            text += f"\n{found}" if after_text else found
        else:
            images.append(PlacedImage(len(text), found))
        after_text = isinstance(found, str)
    return text, tuple(images)


def _part(part: object) -> str | Image:
    if isinstance(part, str):
        return part
    fields: Mapping[str, Any] = part if isinstance(part, Mapping) else {}
    kind = fields.get("type")
    given = fields.get(kind) if isinstance(kind, str) else None
    if kind == "text" and isinstance(given, str):
        return given
    if kind == "image" and given is not None:
        return read_image(given)
    if kind == "image_url":
        url = given.get("url") if isinstance(given, Mapping) else given
        if isinstance(url, str):
            return image_of_url(url)
    msg = f"a part of a message cannot be read: its type is {str(kind)[:40]!r}"
    hint = 'use {"type": "text", "text": …}, or "image_url" with a data: URL'
    raise UsageError(msg, hint=hint)
