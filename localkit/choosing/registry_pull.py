"""Pull from a registry: its tags weighed where it lists them and none is named."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.choosing.choose import choose
from localkit.choosing.pulled import Pulled
from localkit.choosing.registry_offers import registry_offers
from localkit.choosing.registry_tags import of_one_model, read_tags
from localkit.choosing.weigh import weigh
from localkit.errors import RegistryError
from localkit.events import CancelToken, OnProgress, Progress
from localkit.store.ref import DEFAULT_TAG

if TYPE_CHECKING:
    from localkit.choosing.weighing import Weighing
    from localkit.store.layout import Layout
    from localkit.store.ref import ModelRef
    from localkit.store.registry.client import Registry

_NO_LIST = frozenset({404, 405})


def pull_registry(
    layout: Layout,
    ref: ModelRef,
    into: ModelRef | None,
    *,
    n_ctx: int | None,
    insecure: bool,
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> Pulled:
    """Pull a tag of a registry's model: the one named, else one chosen.

    A registry that lists no tags, as registry.ollama.ai, gives ``latest``.

    Raises:
        As `localkit.store.registry.pull.pull`, and:
        StoreError: no tag fits.
    """
    from localkit.store.registry.client import Registry
    from localkit.store.registry.pull import pull

    notes: tuple[str, ...] = ()
    weighing = None
    with Registry(
        ref.host, insecure=insecure, on_progress=on_progress, cancel=cancel
    ) as registry:
        if ref.tag is None and ref.digest is None:
            on_progress(Progress(f"listing the tags of {ref}", 0))
            weighing, notes = _chosen(registry, ref, n_ctx)
            tag = weighing.chosen if weighing else DEFAULT_TAG
            ref = ref.with_tag(tag)
        elif n_ctx is not None:
            notes = (f"{ref} was named, so {n_ctx} tokens of context chose nothing",)
        receipt = pull(
            layout,
            ref,
            None if into is None else into.with_tag(into.tag or ref.tag),
            registry=registry,
            on_progress=on_progress,
            cancel=cancel,
        )
    return Pulled(
        model=receipt.model,
        source=str(ref),
        method="present" if receipt.up_to_date else "download",
        size=receipt.size,
        downloaded=receipt.missing,
        seconds=receipt.seconds,
        weighing=weighing,
        notes=notes,
        detail=receipt,
    )


def weigh_tags(
    registry: Registry, ref: ModelRef, n_ctx: int | None, *, one_model: bool
) -> Weighing:
    """Weigh what a model's tags name by their headers, before a download.

    Args:
        registry: Of the ref.
        ref: Which model.
        n_ctx: Context length in tokens; None: the default of a load.
        one_model: Whether to leave out what is another model than ``latest``.

    Raises:
        RegistryError: the registry lists no tags; or refuses, fails or cannot be
            reached.
        SourceNotFound: they are of several models; or too many.
        EngineMissing: llama-cpp-python is not installed or does not load.
    """
    found, notes = read_tags(registry, ref)
    if one_model:
        found, left = of_one_model(found, ref)
        notes += left
    with tempfile.TemporaryDirectory(prefix="localkit-headers-") as area:
        offers = registry_offers(registry, ref, found, Path(area))
        return weigh(str(ref.with_tag(None)), offers, n_ctx=n_ctx, notes=notes)


def _chosen(
    registry: Registry, ref: ModelRef, n_ctx: int | None
) -> tuple[Weighing | None, tuple[str, ...]]:
    """Return what was weighed and chosen, or None and why nothing could be."""
    try:
        weighing = weigh_tags(registry, ref, n_ctx, one_model=True)
    except RegistryError as error:
        if error.status not in _NO_LIST:
            raise
        why = f"{ref.host} lists no tags, so {DEFAULT_TAG} was taken unweighed"
        return None, (why,)
    if not weighing.rows:
        why = f"{ref.host} lists no tags of {ref}, so {DEFAULT_TAG} was taken unweighed"
        return None, (why,)
    return choose(weighing), ()
