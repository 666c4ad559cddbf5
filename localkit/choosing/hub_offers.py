"""The quants of a Hugging Face repo as offers, from as few headers as will do.

The header of one quant tells the shapes of its model; the others differ in the size
of their weights, which the repo lists. So one header is read for all, a few
megabytes, and a quant's own only where the difference decides.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from itertools import count
from typing import TYPE_CHECKING

from localkit.choosing.headers import checked_info, fetch_header
from localkit.choosing.offer import Offer, derived
from localkit.errors import GGUFError, Unsupported
from localkit.gguf.kinds import kind_of
from localkit.gguf.projector import check_projector
from localkit.store.hub.download import open_range

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from localkit.gguf.info import ModelInfo
    from localkit.gguf.reader import Header
    from localkit.store.hub.repo import Quant, Repo, RepoFile


def hub_offers(repo: Repo, quants: Sequence[Quant], area: Path) -> list[Offer]:
    """Return ``quants`` of a repo as offers, one each, in their order.

    Args:
        repo: Where they are.
        quants: Of one model or of several.
        area: Folder for the headers; to be kept until the offers are weighed.

    Raises:
        SourceNotFound: a file is gone from the repo.
        RegistryError: the hub refuses, fails or cannot be reached.
        DiskFull: no room for a header.
    """
    headers = _Headers(repo, area)
    labels = [quant.label for quant in quants]
    known: dict[str, ModelInfo | str] = {}
    offers = []
    for quant in quants:
        if quant.model not in known:
            known[quant.model] = headers.first_of(
                [one for one in quants if one.model == quant.model]
            )
        unique = labels.count(quant.label) == 1
        label = quant.label if unique else quant.files[0].path
        info = known[quant.model]
        if isinstance(info, str):
            offers.append(Offer(label, quant.size, quant.label, trouble=info))
            continue
        offers.append(
            Offer(
                label,
                quant.size,
                quant.label,
                info=derived(info, quant.label, quant.size, headers.nowhere()),
                read=headers.reader(quant),
                projector=headers.projector(repo.projector_for(quant)),
            )
        )
    return offers


class _Headers:
    """Headers of one repo, each read once, as files in a folder."""

    def __init__(self, repo: Repo, area: Path) -> None:
        self._repo = repo
        self._area = area
        self._numbers = count()
        self._of = lru_cache(maxsize=None)(self._read)
        self.projector = lru_cache(maxsize=None)(self._projector)

    def nowhere(self) -> Path:
        """Return the path of a file that is not there."""
        return self._area / f"{next(self._numbers)}.none"

    def first_of(self, quants: Sequence[Quant]) -> ModelInfo | str:
        """Return what one of the quants of a model says, or why none can be read.

        The smallest that is not split, which is the cheapest to ask.
        """
        order = sorted(quants, key=lambda one: (len(one.files), one.size, one.label))
        try:
            return self._info(order[0])
        except (GGUFError, Unsupported) as error:
            return str(error)

    def reader(self, quant: Quant) -> Callable[[], ModelInfo] | None:
        """Return what reads a quant's own header as a file that can be planned.

        None for a split one: its parts are no model until they are merged.
        """
        return (lambda: self._info(quant)) if len(quant.files) == 1 else None

    def _info(self, quant: Quant) -> ModelInfo:
        path, header = self._of(quant.files[0])
        if len(quant.files) > 1:
            tensors = list(header.tensors)
            for file in quant.files[1:]:
                tensors += self._of(file)[1].tensors
            keys = header.kv.items()
            header = replace(
                header,
                kv={key: one for key, one in keys if not key.startswith("split.")},
                tensors=tuple(tensors),
                file_size=quant.size,
            )
            path = self.nowhere()
        if (kind := kind_of(header)) != "model":
            raise GGUFError(
                f"{quant.files[0].path} is no model but a file of kind '{kind}'",
                hint="name another file of the repo",
            )
        return checked_info(header, path)

    def _read(self, file: RepoFile) -> tuple[Path, Header]:
        path = self._area / f"{next(self._numbers)}.gguf"
        opens = partial(open_range, self._repo, file)
        return path, fetch_header(opens, file.size, path)

    def _projector(self, file: RepoFile | None) -> Path | None:
        """Return the header of a projector; None where there is none to be used."""
        if file is None:
            return None
        path, _ = self._of(file)
        try:
            check_projector(path)
        except (GGUFError, Unsupported):
            return None
        return path
