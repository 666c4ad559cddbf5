"""What is wrong with the blobs of a model, as far as their sizes tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.store.digest import short_digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.store.manifest import Manifest


def blob_trouble(
    manifest: Manifest, size_of: Callable[[str], int | None], *, besides: str = ""
) -> str | None:
    """Return which blob is missing or of another size, looking at all but one.

    Args:
        manifest: Names the blobs.
        size_of: Bytes of the blob of a digest; None where there is none.
        besides: Digest of the one that is not looked at.
    """
    for layer in manifest.blobs():
        if layer.digest == besides:
            continue
        size = size_of(layer.digest)
        if size is None:
            return f"blob {short_digest(layer.digest)} is missing"
        if size != layer.size:
            found = f"has {size} bytes, not {layer.size}"
            return f"blob {short_digest(layer.digest)} {found}"
    return None
