"""Estimates of the memory at every context length, from the header alone.

Arithmetic over the tensor table, so a curve over all contexts costs
milliseconds and loads nothing. Measured bytes stand in `Memory`; these are
always called estimates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.evals.comparing.row import MemoryPlan
from localkit.evals.comparing.variant import PLAIN
from localkit.gguf.estimate import MemoryEstimate, context_that_fits, estimate_memory
from localkit.runtime.params import LoadParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.variant import Variant
    from localkit.gguf.info import ModelInfo

SHORTEST = 512
"""Where a curve over context lengths begins: a load gets no less by default."""
_DEFAULT = LoadParams()
_UNKNOWN = 1 << 17
"""Where it ends when a file does not say its training context."""


def plans(
    info: ModelInfo,
    variant: Variant = PLAIN,
    ctxs: Sequence[int] | None = None,
    *,
    n_seq_max: int = _DEFAULT.n_seq_max,
) -> tuple[MemoryPlan, ...]:
    """Return what a load would take at each of ``ctxs``, shortest first.

    Default: `context_lengths`. The slots change the size of the output buffer;
    ``n_seq_max`` is a default load's.
    """
    lengths = context_lengths(info) if ctxs is None else sorted(set(ctxs))
    params = LoadParams(
        kv_type=variant.kv_type, flash_attn=variant.flash_attn, n_seq_max=n_seq_max
    )
    return tuple(
        MemoryPlan(n_ctx, found.weights, found.kv, found.compute)
        for n_ctx in lengths
        for found in (estimate_load(info, params, n_ctx=n_ctx),)
    )


def max_ctx(
    info: ModelInfo,
    budget_bytes: int,
    variant: Variant = PLAIN,
    *,
    n_seq_max: int = _DEFAULT.n_seq_max,
) -> int:
    """Return the longest context whose estimate fits ``budget_bytes``.

    At most the training context; 0 when not even the shortest fits.
    """
    params = LoadParams(
        kv_type=variant.kv_type, flash_attn=variant.flash_attn, n_seq_max=n_seq_max
    )
    return context_that_fits(info, budget_bytes, **_sizes(info, params))


def context_lengths(info: ModelInfo) -> tuple[int, ...]:
    """Return the powers of two from 512 to the training context, and that itself."""
    longest = info.n_ctx_train or _UNKNOWN
    lengths, length = [], SHORTEST
    while length < longest:
        lengths.append(length)
        length *= 2
    return (*lengths, longest)


def estimate_load(info: ModelInfo, params: LoadParams, *, n_ctx: int) -> MemoryEstimate:
    """Return the estimate for a load with ``params`` at ``n_ctx`` tokens."""
    return estimate_memory(info, n_ctx=n_ctx, **_sizes(info, params))


def _sizes(info: ModelInfo, params: LoadParams) -> dict[str, Any]:
    from localkit.runtime.engine.context import output_rows

    return {
        "n_ubatch": min(params.n_ubatch, params.n_batch),
        "n_seq_max": params.n_seq_max,
        "n_outputs": output_rows(info.n_vocab, params),
        "kv_type": params.kv_type,
        "flash_attn": params.flash_attn is not False,
    }
