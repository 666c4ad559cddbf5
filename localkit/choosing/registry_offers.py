"""The tags of a registry's model as offers, from one header for each model."""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import count
from typing import TYPE_CHECKING

from localkit.choosing.headers import checked_info, fetch_header
from localkit.choosing.offer import Offer, derived
from localkit.errors import GGUFError, Unsupported
from localkit.gguf.projector import check_projector
from localkit.store.registry import endpoints
from localkit.store.registry.blob import HttpBlob

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.choosing.registry_tags import Tagged
    from localkit.gguf.info import ModelInfo
    from localkit.gguf.reader import Header
    from localkit.store.manifest import Layer
    from localkit.store.ref import ModelRef
    from localkit.store.registry.client import Registry


def registry_offers(
    registry: Registry, ref: ModelRef, found: Sequence[Tagged], area: Path
) -> list[Offer]:
    """Return files of weights as offers, in their order.

    Args:
        registry: Who has them.
        ref: Their model.
        found: What its tags name.
        area: Folder for the headers; to be kept until the offers are weighed.

    Raises:
        RegistryError: the registry refuses, fails or cannot be reached.
        DiskFull: no room for a header.
    """
    headers = _Headers(registry, endpoints.repository(ref), area)
    known: dict[tuple[str, str], ModelInfo | str] = {}
    offers = []
    for one in found:
        if one.model not in known:
            same = [other for other in found if other.model == one.model]
            known[one.model] = headers.first_of(same)
        info, size = known[one.model], one.weights.size
        if isinstance(info, str):
            offers.append(Offer(one.tag, size, one.quant, trouble=info))
            continue
        offers.append(
            Offer(
                one.tag,
                size,
                one.quant,
                info=derived(info, one.quant, size, headers.nowhere()),
                read=partial(headers.info, one.weights),
                projector=headers.projector(one.projector),
            )
        )
    return offers


class _Headers:
    """Headers of one repository's blobs, each read once, as files in a folder."""

    def __init__(self, registry: Registry, name: str, area: Path) -> None:
        self._registry = registry
        self._name = name
        self._area = area
        self._numbers = count()
        self._of = lru_cache(maxsize=None)(self._read)

    def nowhere(self) -> Path:
        """Return the path of a file that is not there."""
        return self._area / f"{next(self._numbers)}.none"

    def first_of(self, found: Sequence[Tagged]) -> ModelInfo | str:
        """Return what the smallest of a model says, or why it cannot be read."""
        least = min(found, key=lambda one: (one.weights.size, one.tag))
        try:
            return self.info(least.weights)
        except GGUFError as error:
            return str(error)

    def info(self, weights: Layer) -> ModelInfo:
        """Return what weights say themselves."""
        path, header = self._of(weights)
        return checked_info(header, path)

    def projector(self, layer: Layer | None) -> Path | None:
        """Return the header of a projector; None where there is none to be used."""
        if layer is None:
            return None
        try:
            path, _ = self._of(layer)
            check_projector(path)
        except (GGUFError, Unsupported):
            return None
        return path

    def _read(self, layer: Layer) -> tuple[Path, Header]:
        path = self._area / f"{next(self._numbers)}.gguf"
        blob = HttpBlob(self._registry, self._name, layer)
        return path, fetch_header(blob.read, layer.size, path)
