"""Pull from Hugging Face: list the repo, choose where no quant is named, bring it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.choosing.choose import choose
from localkit.choosing.hub_offers import hub_offers
from localkit.choosing.pulled import Pulled
from localkit.choosing.weigh import weigh
from localkit.events import CancelToken, OnProgress, Progress
from localkit.store.hub.bring import bring, hub_ref
from localkit.store.hub.repo import read_repo
from localkit.store.sources.route import HubSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.choosing.weighing import Weighing
    from localkit.store.hub.repo import Quant, Repo
    from localkit.store.layout import Layout
    from localkit.store.ref import ModelRef


def pull_hub(
    layout: Layout,
    source: HubSource,
    ref: ModelRef | None,
    *,
    n_ctx: int | None,
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> Pulled:
    """Bring a quant of a repo into the store: the one named, else one chosen.

    Raises:
        SourceNotFound: no such repo, revision, quant or file.
        RegistryError: the hub refuses, fails or cannot be reached.
        StoreError: no quant fits; or the store may not be written.
        As `localkit.store.hub.bring.bring`.
    """
    on_progress(Progress(f"asking for {source}", 0))
    repo = read_repo(source.repo, source.revision)
    named = source.file or source.quant
    weighing = None
    if named is not None:
        quant = repo.named(named)
    else:
        quants = repo.of_one_model()
        target = ref or hub_ref(repo.id, quants[0])  # refused before anything is read
        weighing = choose(weigh_repo(repo, quants, n_ctx))
        quant = next(one for one in quants if one.label == weighing.chosen)
    target = ref or hub_ref(repo.id, quant)
    receipt = bring(
        layout,
        repo,
        quant,
        target,
        projector=repo.projector_for(quant),
        on_progress=on_progress,
        cancel=cancel,
    )
    notes = receipt.notes
    if named is not None and n_ctx is not None:
        notes += (f"{named} was named, so {n_ctx} tokens of context chose nothing",)
    return Pulled(
        model=receipt.model,
        source=str(HubSource(repo.id, quant=quant.label, revision=source.revision)),
        method=receipt.method,
        size=receipt.size,
        downloaded=receipt.downloaded,
        seconds=receipt.seconds,
        weighing=weighing,
        notes=notes,
        detail=receipt,
    )


def weigh_repo(repo: Repo, quants: Sequence[Quant], n_ctx: int | None) -> Weighing:
    """Weigh quants of a repo by their headers, before any is downloaded.

    Raises:
        RegistryError: the hub refuses, fails or cannot be reached.
        EngineMissing: llama-cpp-python is not installed or does not load.
    """
    notes = tuple(
        f"{label} is left out: parts of it are missing" for label in repo.incomplete
    )
    with tempfile.TemporaryDirectory(prefix="localkit-headers-") as area:
        offers = hub_offers(repo, quants, Path(area))
        return weigh(f"hf.co/{repo.id}", offers, n_ctx=n_ctx, notes=notes)
