"""The small layers of a model, read whole: texts and JSON, bounded and checked.

Weights are trusted by size and date once they were hashed; these are hashed each
time, because a changed system message or parameter is cheap to find.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from localkit.errors import BlobCorrupt, SourceNotFound
from localkit.io.regular import open_regular
from localkit.store.digest import digest_of
from localkit.store.manifest import damaged

if TYPE_CHECKING:
    from localkit.store.layout import Layout
    from localkit.store.manifest import Layer

MAX_SIZE = 4 << 20
"""Bytes that a template, system message, licence, params or messages may have."""


def read_bytes(layout: Layout, layer: Layer, *, ref: str) -> bytes:
    """Return the bytes of a small layer.

    Raises:
        ManifestInvalid: it is missing, or larger than `MAX_SIZE`.
        BlobCorrupt: the bytes do not hash to their name.
    """
    kind = layer.media_type.rpartition(".")[2]
    if layer.size > MAX_SIZE:
        raise damaged(ref, f"its {kind} layer has {layer.size} bytes")
    path = layout.blob(layer.digest)
    try:
        with open_regular(path) as stream:
            data = stream.read(MAX_SIZE + 1) or b""
    except SourceNotFound as error:
        raise damaged(ref, f"its {kind} layer is missing") from error
    if (found := digest_of(data)) != layer.digest:
        hint = f"pull '{ref}' again, or create it again"
        raise BlobCorrupt(layer.digest, path, found=found, hint=hint)
    return data


def read_text(layout: Layout, layer: Layer, *, ref: str) -> str:
    """Return the text of a small layer; what is no UTF-8 becomes ``U+FFFD``.

    Raises:
        ManifestInvalid, BlobCorrupt: as `read_bytes`.
    """
    return read_bytes(layout, layer, ref=ref).decode(errors="replace")


def read_json(layout: Layout, layer: Layer, *, ref: str) -> Any:
    """Return the JSON value of a small layer.

    Raises:
        ManifestInvalid: it is not JSON; and as `read_bytes`.
        BlobCorrupt: as `read_bytes`.
    """
    data = read_bytes(layout, layer, ref=ref)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        kind = layer.media_type.rpartition(".")[2]
        raise damaged(ref, f"its {kind} layer is not JSON") from error
