"""Images of conversations: each once, whoever shows it, as PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from localkit.runtime.vision.images import Image, check_size

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from localkit.history.database import History

_LEVEL = 1
"""Of PNG's compression."""
_HINT = "`%llm history rm NAME` removes the chat; the others stay as they are"


def keep_images(db: sqlite3.Connection, images: Iterable[Image]) -> None:
    """Store those of ``images`` that are not there yet."""
    for image in images:
        query = "SELECT 1 FROM images WHERE digest = ?"
        if db.execute(query, (image.digest,)).fetchone() is None:
            row = (image.digest, as_png(image))
            db.execute("INSERT INTO images VALUES (?, ?)", row)


def read_images(history: History, digests: Iterable[str]) -> dict[str, Image]:
    """Return the images of these digests.

    Raises:
        HistoryInvalid: one is missing, or is not what its digest says.
    """
    found = {}
    for digest in digests:
        rows = history.select("SELECT png FROM images WHERE digest = ?", digest)
        image = _read(rows[0][0]) if rows else None
        if image is None or image.digest != digest:
            raise history.invalid(f"has lost image {digest[:12]} of a chat", _HINT)
        found[digest] = image
    return found


def as_png(image: Image) -> bytes:
    """Return the pixels as a PNG file."""
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    picture = Pillow.frombytes("RGB", (image.width, image.height), image.rgb)
    picture.save(buffer, "PNG", compress_level=_LEVEL)
    return buffer.getvalue()


def _read(png: bytes) -> Image | None:
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(png), formats=("PNG",)) as picture:
            check_size(*picture.size)  # before anything is decoded
            plain = picture.convert("RGB")
            return Image(plain.width, plain.height, plain.tobytes())
    except Exception:  # a decoder of broken bytes raises anything
        return None
