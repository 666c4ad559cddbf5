"""Images as values: decoded once, in bounds, and known by their digest.

Bytes from outside never reach the decoder in llama.cpp (stb_image, in C, in the
kernel's process): Pillow reads them here, and the engine gets plain pixels.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from localkit.errors import LocalkitError, UsageError
from localkit.io.regular import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_BYTES: Final = 64 << 20
"""Bytes of one encoded image."""
MAX_PIXELS: Final = 50_000_000
MAX_SIDE: Final = 16_384
MAX_ASPECT: Final = 200
"""Longer side by shorter side; beyond it, llama.cpp scales the shorter one to 0."""
FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""What Pillow may try: no format that runs a program or reads another file."""
_DATA_URL: Final = "data:image/"


@dataclass(frozen=True, slots=True)
class Image:
    """The pixels of one image.

    Raises:
        UsageError: the sides are out of bounds, or the bytes are not theirs.
    """

    width: int
    height: int
    rgb: bytes = field(repr=False, compare=False)
    """Three bytes a pixel, row by row."""
    digest: str = field(init=False)
    """SHA-256 of size and pixels, 64 hexadecimal digits."""

    def __post_init__(self) -> None:
        """Check the size and take the digest."""
        check_size(self.width, self.height)
        if len(self.rgb) != 3 * self.width * self.height:
            msg = f"{self.width} by {self.height} pixels come in {len(self.rgb)} bytes"
            raise UsageError(msg, hint="give three bytes a pixel: red, green, blue")
        hashed = hashlib.sha256(b"%d %d " % (self.width, self.height))
        hashed.update(self.rgb)
        object.__setattr__(self, "digest", hashed.hexdigest())


def read_image(source: object) -> Image:
    """Return the pixels of an encoded image, a file, or a Pillow image.

    It is turned as its EXIF orientation says; transparent pixels become white; of
    an animation the first picture is taken.

    Raises:
        UsageError: it is no image of `FORMATS`, broken, or too large.
        SourceNotFound: there is no such file.
    """
    from PIL.Image import Image as Picture

    if isinstance(source, Image):
        return source
    if isinstance(source, Path):
        with open_regular(source) as file:
            return _decode(file.read(MAX_BYTES + 1))
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(bytes(source))
    if isinstance(source, Picture):
        return _pixels(source)
    msg = f"a {type(source).__name__} is not an image"
    hint = "pass bytes, a pathlib.Path or a Pillow image; a text names no file here"
    raise UsageError(msg, hint=hint)


def image_of_url(url: str) -> Image:
    """Return the image in a ``data:image/…;base64,…`` URL, as the OpenAI API has it.

    Raises:
        UsageError: any other URL: nothing is fetched, and no file is opened for
            whoever wrote a request.
    """
    head, _, payload = url.partition(",")
    if not (url.startswith(_DATA_URL) and head.endswith(";base64")):
        msg = f"the image's URL begins with {url[:24]!r}"
        hint = "send the image itself: data:image/png;base64,…"
        raise UsageError(msg, hint=hint)
    if len(payload) > MAX_BYTES * 4 // 3 + 4:
        raise _too_large(f"its text has {len(payload)} characters")
    try:
        return _decode(base64.b64decode(payload, validate=True))
    except binascii.Error as error:
        msg = f"the image's URL is not base64: {error}"
        raise UsageError(msg, hint="encode it with base64.b64encode") from error


def check_size(width: int, height: int) -> None:
    """Refuse a size that would take the memory, or that no model can look at.

    Raises:
        UsageError: names the size.
    """
    if min(width, height) < 1:
        msg = f"the image is {width} by {height} pixels"
        raise UsageError(msg, hint="give at least one pixel")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise _too_large(f"it is {width} by {height} pixels")
    if max(width, height) > MAX_ASPECT * min(width, height):
        msg = f"the image is {width} by {height} pixels, a line more than a picture"
        raise UsageError(msg, hint="cut it into parts")


def _decode(data: bytes) -> Image:
    from PIL import Image as Pillow

    if len(data) > MAX_BYTES:
        raise _too_large(f"it has more than {MAX_BYTES >> 20} MiB")
    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
            return _pixels(picture)
    except LocalkitError:
        raise
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        raise _too_large(str(error)) from error
    except Exception as error:  # a decoder of broken bytes raises anything
        msg = f"{len(data)} bytes are no image that can be read: {error}"
        hint = f"give a sound file of one of: {', '.join(FORMATS)}"
        raise UsageError(msg, hint=hint) from error


def _pixels(picture: Picture) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageOps

    check_size(*picture.size)  # before anything is decoded
    turned: Any = ImageOps.exif_transpose(picture)
    if turned.has_transparency_data:
        white = Pillow.new("RGBA", turned.size, "white")
        turned = Pillow.alpha_composite(white, turned.convert("RGBA"))
    plain = turned.convert("RGB")
    return Image(plain.width, plain.height, plain.tobytes())


def _too_large(why: str) -> UsageError:
    return UsageError(
        f"the image is too large: {why}",
        hint=f"scale it to at most {MAX_PIXELS // 10**6} million pixels",
    )
