"""Refusing a projector that would abort llama.cpp, as far as a header tells.

``tools/mtmd/clip.cpp`` throws on a missing key or tensor, which comes back as an
error; it asserts, and so ends the process, on numbers out of range and on tensors
whose shapes do not fit each other. The numbers are checked here. The shapes are
not: what a header cannot tell shows in the first load, which is tried in a child.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

from localkit.errors import GGUFError, Unsupported
from localkit.gguf.fields import Fields
from localkit.gguf.reader import Header, read_header

if TYPE_CHECKING:
    import os

_WIDTH: Final = "clip.vision.embedding_length"
_HEADS: Final = "clip.vision.attention.head_count"
_MOST: Final = {
    "clip.vision.image_size": 8192,
    "clip.vision.patch_size": 1024,
    _WIDTH: 65_536,
    _HEADS: 1024,
    "clip.vision.block_count": 512,
}
"""Number that a vision encoder must have, and the largest that is plausible."""
_PLACED: Final = {
    "deepseek4v": "pads an image by where it stands in the prompt",
    "hunyuanvl": "numbers the images of a prompt",
}
"""Projectors whose image depends on what is before it; ours are computed alone."""


def check_projector(path: str | os.PathLike[str]) -> Header:
    """Check that llama.cpp can look at this projector, and return its header.

    Raises:
        GGUFError: it is no projector, or names the field that is wrong.
        Unsupported: it has no vision encoder, or one that cannot be used here.
    """
    header = read_header(path)
    fields = Fields(header.kv)
    if fields.architecture != "clip":
        raise GGUFError(
            f"the file is a model of architecture '{fields.architecture}', "
            "not a projector",
            hint="give the mmproj file that was published with the model",
            field="general.architecture",
        )
    if not fields.flag("clip.has_vision_encoder", default=False):
        msg = "the projector has no vision encoder"
        raise Unsupported(msg, hint="only images are supported, not sound")
    kind = fields.text("clip.projector_type") or fields.text(
        "clip.vision.projector_type", ""
    )
    if kind in _PLACED:
        msg = f"a projector of type '{kind}' {_PLACED[kind]}"
        raise Unsupported(msg, hint="this is not supported; use another model")
    for key, most in _MOST.items():
        number = fields.integer(key)
        if not 1 <= number <= most:
            raise _wrong(key, number, f"not from 1 to {most}")
    for key, value in header.kv.items():
        if isinstance(value, float) and not isfinite(value):
            raise _wrong(key, value, "not a finite number")
    size, patch = (
        fields.integer(f"clip.vision.{key}_size") for key in ("image", "patch")
    )
    if size < patch:
        raise _wrong("clip.vision.patch_size", patch, f"more than image_size {size}")
    width, n_heads = fields.integer(_WIDTH), fields.integer(_HEADS)
    if not fields.has("clip.vision.attention.head_dim") and width % n_heads:
        raise _wrong(_HEADS, n_heads, f"which does not divide a width of {width}")
    return header


def _wrong(key: str, value: object, why: str) -> GGUFError:
    return GGUFError(f"{key} is {value!r}, {why}", field=key)
