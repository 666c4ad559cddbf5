"""Pull from wherever a text says, and choose where it does not say which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.choosing.hub_pull import pull_hub
from localkit.choosing.package_pull import pull_package
from localkit.choosing.pulled import Pulled
from localkit.choosing.registry_pull import pull_registry
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.store.importing.bring import bring_in
from localkit.store.ref import as_ref
from localkit.store.sources.route import (
    HubSource,
    PackageSource,
    RegistrySource,
    route,
)

if TYPE_CHECKING:
    from localkit.store import Store
    from localkit.store.ref import ModelRef


def pull(
    store: Store,
    source: str,
    ref: ModelRef | str | None = None,
    *,
    n_ctx: int | None = None,
    insecure: bool = False,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Pulled:
    """Bring the model that ``source`` means into ``store``, as ``ref``.

    Args:
        store: Where to.
        source: As `localkit.store.sources.route` reads it.
        ref: Its name here; default: its name there.
        n_ctx: Context length that the quant to be chosen must have room for;
            default: that of a load.
        insecure: Whether to speak plain http to a registry elsewhere.
        on_progress: Told about every step.
        cancel: Stops it.

    Raises:
        RefError: ``ref``, or ``source`` as a registry's, breaks the grammar.
        SourceNotFound: there is no such source; says what there is.
        RegistryError: a registry or hub refuses, fails or cannot be reached.
        DigestMismatch: the bytes that came are not those that were asked for.
        GGUFError: the file is no model that may be loaded.
        DiskFull: it does not fit; the store is as it was.
        StoreError: no quant fits; or the store may not be written.
        Cancelled: ``cancel`` was raised; the store is as it was.
    """
    wanted = None if ref is None else as_ref(ref)
    place = route(source)
    if isinstance(place, HubSource):
        return pull_hub(
            store.layout,
            place,
            wanted,
            n_ctx=n_ctx,
            on_progress=on_progress,
            cancel=cancel,
        )
    if isinstance(place, PackageSource):
        return pull_package(
            store,
            place.what,
            wanted,
            n_ctx=n_ctx,
            on_progress=on_progress,
            cancel=cancel,
        )
    if isinstance(place, RegistrySource):
        return pull_registry(
            store.layout,
            place.ref,
            wanted,
            n_ctx=n_ctx,
            insecure=insecure,
            on_progress=on_progress,
            cancel=cancel,
        )
    receipt = bring_in(
        store.layout,
        place.path.expanduser(),
        wanted,
        on_progress=on_progress,
        cancel=cancel,
    )
    return Pulled(
        model=receipt.model,
        source=str(place.path),
        method=receipt.method,
        size=receipt.size,
        downloaded=0,
        seconds=receipt.seconds,
        notes=receipt.notes,
        detail=receipt,
    )
