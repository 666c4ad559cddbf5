"""Every quant of a model on the scales, wherever it is; none is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from localkit.choosing.choose import choose
from localkit.choosing.hub_pull import weigh_repo
from localkit.choosing.offer import Offer
from localkit.choosing.package_pull import is_one_model, weigh_files
from localkit.choosing.registry_pull import weigh_tags
from localkit.choosing.weigh import weigh
from localkit.errors import LocalkitError, ModelNotFound, SourceNotFound, StoreError
from localkit.store.hub.repo import read_repo
from localkit.store.sources import pkg
from localkit.store.sources.local import look_at
from localkit.store.sources.route import (
    HubSource,
    LocalSource,
    PackageSource,
    RegistrySource,
    route,
)

if TYPE_CHECKING:
    from localkit.choosing.weighing import Weighing
    from localkit.store import Store
    from localkit.store.ref import ModelRef


def quants(store: Store, source: str, *, n_ctx: int | None = None) -> Weighing:
    """Weigh every quant of what ``source`` means, before any is brought in.

    A model that is in ``store`` is weighed as it is there; one that is not, as its
    registry lists it.

    Args:
        store: Where models may be already.
        source: As `localkit.store.sources.route` reads it.
        n_ctx: Context length in tokens; None: the default of a load.

    Raises:
        SourceNotFound: there is no such source.
        RegistryError: a registry or hub refuses, fails or cannot be reached.
        EngineMissing: llama-cpp-python is not installed or does not load.
    """
    place = route(source)
    if isinstance(place, HubSource):
        repo = read_repo(place.repo, place.revision)
        named = place.file or place.quant
        if named is not None:
            return weigh_repo(repo, [repo.named(named)], n_ctx)
        weighing = weigh_repo(repo, repo.quants, n_ctx)
        return _with_choice(weighing) if repo.is_one_model else weighing
    if isinstance(place, PackageSource):
        name, _, _ = place.what.partition("/")
        weighing = weigh_files(f"pkg:{name}", pkg.files(name), n_ctx)
        return _with_choice(weighing) if is_one_model(pkg.files(name)) else weighing
    if isinstance(place, LocalSource):
        found = look_at(place.path.expanduser())
        if found.info is None:
            raise SourceNotFound(
                f"{place.path} is a {found.kind}, not a model",
                hint="give the file of a model",
            )
        offer = Offer(found.path.name, found.size, found.info.quant, info=found.info)
        return weigh(str(place.path), [offer], n_ctx=n_ctx)
    return _of_ref(store, place, n_ctx)


def _with_choice(weighing: Weighing) -> Weighing:
    """Say which a pull would take, or why none."""
    try:
        return choose(weighing)
    except StoreError as error:
        return replace(weighing, why=str(error))


def _of_ref(store: Store, place: RegistrySource, n_ctx: int | None) -> Weighing:
    try:
        tags = store.tags(place.ref)
    except ModelNotFound:
        from localkit.store.registry.client import Registry

        with Registry(place.ref.host) as registry:
            return weigh_tags(registry, place.ref, n_ctx, one_model=False)
    offers = [_stored(store, tag) for tag in tags]
    return weigh(str(place.ref.with_tag(None)), offers, n_ctx=n_ctx)


def _stored(store: Store, tag: ModelRef) -> Offer:
    label = tag.tag or ""
    try:
        model = store.resolve(tag)
        info = model.info
    except LocalkitError as error:
        return Offer(label, 0, trouble=str(error))
    return Offer(label, info.file_size, info.quant, info, projector=model.projector)
