"""The models of a store with all that is known of each, read once as they are."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from localkit.chat.capabilities import capabilities
from localkit.errors import LocalkitError
from localkit.store.licences import licences_of
from localkit.widgets.folders import without_folders
from localkit.widgets.models.fits import fits

if TYPE_CHECKING:
    from localkit.kit import Kit
    from localkit.store import Listing, StoredModel
    from localkit.store.licences import Licence
    from localkit.store.lockfile import Lock
    from localkit.widgets.models.fits import Fit

Pinned = Literal["no", "pinned", "changed"]

MAX_ROWS: Final = 200
"""Models that are shown; a prefix narrows them."""


@dataclass(frozen=True, slots=True)
class Details:
    """What the files of a model say."""

    weights_digest: str
    quant: str
    bits_per_weight: float
    n_params: int
    n_ctx_train: int
    capabilities: tuple[str, ...]
    licences: tuple[Licence, ...]
    fits: tuple[Fit, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One model of the store."""

    ref: str
    digest: str
    size: int
    """Bytes on the disk, shared ones included."""
    shared: int
    """Bytes of them that other models name too."""
    pinned: Pinned
    """``changed``: it is no longer what was pinned."""
    details: Details | None
    trouble: str = ""
    """Why there are no details."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What is on the shelf now."""

    rows: tuple[Row, ...]
    n_left_out: int
    """Models beyond `MAX_ROWS`."""
    trouble: str = ""
    """What is wrong with the lock file, if anything is."""


class Shelf:
    """Reads rows; what a model's files say is kept by the digest of its manifest."""

    def __init__(self, kit: Kit, prefix: str = "") -> None:
        """Read nothing yet; ``prefix`` narrows to names that begin so."""
        self._kit = kit
        self._prefix = prefix
        self._known: dict[tuple[str, str], Details] = {}
        self._lock = threading.Lock()

    def read(self) -> Rows:
        """Return the models as they are now, by name."""
        store = self._kit.store
        listings = store.list(self._prefix)
        shared = {one.ref.key: one.shared for one in store.usage().models}
        trouble, pins = "", None
        try:
            pins = self._kit.pins.lock
        except LocalkitError as error:
            trouble = without_folders(error.one_line())
        rows = tuple(
            self._row(one, shared.get(one.ref.key, 0), pins)
            for one in listings[:MAX_ROWS]
        )
        return Rows(rows, max(0, len(listings) - MAX_ROWS), trouble)

    def _row(self, listing: Listing, shared: int, pins: Lock | None) -> Row:
        details, trouble = None, listing.damaged or ""
        if not trouble:
            try:
                details = self._details(listing)
            except LocalkitError as error:
                trouble = error.one_line()
        trouble = without_folders(trouble)
        pin = None if pins is None else pins.of(listing.ref)
        pinned: Pinned = "no"
        if pin is not None:
            pinned = "pinned" if pin.digest == listing.digest else "changed"
        return Row(
            ref=str(listing.ref),
            digest=listing.digest,
            size=listing.size,
            shared=shared,
            pinned=pinned,
            details=details,
            trouble=trouble,
        )

    def _details(self, listing: Listing) -> Details:
        key = str(listing.ref), listing.digest
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = details_of(self._kit.store.resolve(listing.ref))
            with self._lock:
                self._known[key] = known
        return known


def details_of(stored: StoredModel) -> Details:
    """Read what the files of a model say.

    Raises:
        GGUFError: the weights are not a GGUF that can be read.
        ManifestInvalid, BlobCorrupt: a layer of it cannot be read.
    """
    info = stored.info
    return Details(
        weights_digest=stored.weights_digest,
        quant=info.label,
        bits_per_weight=info.bits_per_weight,
        n_params=info.n_params,
        n_ctx_train=info.n_ctx_train,
        capabilities=tuple(capabilities(stored)),
        licences=licences_of(stored),
        fits=fits(info),
    )
