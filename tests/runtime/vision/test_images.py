"""Bytes become pixels, or an error that says why not."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from PIL import Image as Pillow

from localkit.errors import SourceNotFound, UsageError
from localkit.runtime.vision import images
from localkit.runtime.vision.images import Image, image_of_url, read_image
from tests.fixtures.projector import RED, png

if TYPE_CHECKING:
    from pathlib import Path


def encoded(picture: Pillow.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Return a PNG that claims this size and holds almost nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_bytes_a_file_and_a_pillow_image_give_the_same_pixels(tmp_path: Path) -> None:
    data = png(RED)
    path = tmp_path / "red.png"
    path.write_bytes(data)
    image = read_image(data)
    assert (image.width, image.height) == (40, 24)
    assert image.rgb[:3] == bytes(RED)
    assert read_image(path) == image
    assert read_image(Pillow.open(path)) == image
    assert read_image(image) is image


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_the_usual_formats_are_read(form: str) -> None:
    image = read_image(encoded(Pillow.new("RGB", (8, 6), RED), form))
    assert (image.width, image.height) == (8, 6)


def test_transparent_pixels_become_white() -> None:
    picture = Pillow.new("RGBA", (2, 2), (0, 0, 0, 0))
    assert read_image(encoded(picture, "PNG")).rgb == b"\xff" * 12


def test_a_photo_is_turned_as_its_exif_says() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image = read_image(encoded(Pillow.new("RGB", (8, 4)), "JPEG", exif=exif))
    assert (image.width, image.height) == (4, 8)


def test_the_repr_holds_no_pixels() -> None:
    assert len(repr(read_image(png(RED)))) < 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        png(RED)[:60],
        png(RED)[:-40],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded(Pillow.new("RGB", (4, 4)), "TIFF"),
        encoded(Pillow.new("RGB", (4, 4)), "ICO"),
    ],
    ids=["empty", "text", "cut", "cut late", "eps", "svg", "tiff", "ico"],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="no image that can be read"):
        read_image(data)


@pytest.mark.parametrize(
    ("width", "height"), [(60_000, 60_000), (10_000, 9_500), (16_000, 4_000)]
)
def test_a_bomb_is_refused_before_it_is_decoded(width: int, height: int) -> None:
    with pytest.raises(UsageError, match="too large"):
        read_image(bomb(width, height))


def test_a_line_of_pixels_is_refused() -> None:
    with pytest.raises(UsageError, match="a line more than a picture"):
        read_image(encoded(Pillow.new("RGB", (2000, 1)), "PNG"))


def test_a_file_beyond_the_cap_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 50)
    path = tmp_path / "red.png"
    path.write_bytes(png(RED))
    with pytest.raises(UsageError, match="too large"):
        read_image(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound):
        read_image(tmp_path / "none.png")
    with pytest.raises(SourceNotFound):
        read_image(tmp_path)


def test_a_text_is_not_taken_for_a_path() -> None:
    with pytest.raises(UsageError, match="a str is not an image"):
        read_image("/etc/passwd")


def test_a_data_url_is_read_and_nothing_is_fetched() -> None:
    payload = base64.b64encode(png(RED)).decode()
    assert image_of_url(f"data:image/png;base64,{payload}") == read_image(png(RED))
    for url in (
        "https://example.org/red.png",
        "file:///etc/passwd",
        "/etc/passwd",
        f"data:text/html;base64,{payload}",
        f"data:image/png,{payload}",
    ):
        with pytest.raises(UsageError, match="URL begins with"):
            image_of_url(url)
    with pytest.raises(UsageError, match="not base64"):
        image_of_url("data:image/png;base64,!!!")


def test_pixels_must_be_as_many_as_the_size_says() -> None:
    with pytest.raises(UsageError, match="come in 5 bytes"):
        Image(2, 1, b"12345")
