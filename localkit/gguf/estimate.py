"""Planning memory from a header: what a model will need before it is loaded.

An estimate, always called one. KV is exact for transformers; compute is the
larger of the two phases that dominate it. Both follow llama.cpp's
``src/llama-kv-cache.cpp``, ``src/llama-kv-cache-iswa.cpp`` and what its log
says of real models. Recurrent state (Mamba, RWKV) is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from localkit.gguf.info import LayerCache
from localkit.gguf.tensors import padded
from localkit.gguf.types import weight_type

if TYPE_CHECKING:
    from localkit.gguf.info import ModelInfo

CELLS: Final = 256
"""llama.cpp makes caches a multiple of this many tokens."""
_MOST_CONTEXT: Final = 1 << 20
"""Where the search ends when a file does not say its training context."""
_FLOAT: Final = 4
_HALF: Final = 2
_LEAST_WIDTHS: Final = 5
_FEED_FORWARD_WIDTHS: Final = 3.75
"""Activations alive in a layer: n_embd and so many n_ff, at least 5 n_embd. Dry runs
gave 5.0 n_embd where n_ff is n_embd, 8.0 at twice, 12.0 on SmolLM2 at 2.67 times,
16.0 at four times and 28.0 at eight."""
_USUAL_FF: Final = 8 / 3
"""Width of a llama's feed-forward, in n_embd: for files that do not say."""
_OUTPUT_WIDTHS: Final = 2
"""Activations alive beside the logits: measured on SmolLM2 at every n_ubatch."""


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes a session is expected to allocate, by kind."""

    weights: int
    kv: int
    compute: int

    @property
    def total(self) -> int:
        """All three kinds."""
        return self.weights + self.kv + self.compute


def estimate_memory(
    info: ModelInfo,
    *,
    n_ctx: int,
    n_ubatch: int = 512,
    n_seq_max: int = 8,
    n_outputs: int | None = None,
    kv_type: str = "f16",
    flash_attn: bool = True,
) -> MemoryEstimate:
    """Estimate the memory of one session with a unified KV cache.

    Weights are those of the file. On a CPU they are mapped, and a copy in
    another order may come on top of them. ``n_outputs`` is the most rows of
    logits that one decode may give; None: one for each token of a micro-batch.

    Raises:
        KeyError: no weight type is called ``kv_type``.
    """
    n_ctx = padded(max(n_ctx, 1), CELLS)
    n_ubatch = min(n_ubatch, n_ctx)
    return MemoryEstimate(
        weights=info.weights_size,
        kv=_kv(info, n_ctx, n_ubatch, n_seq_max, kv_type),
        compute=_compute(
            info,
            n_ctx,
            n_ubatch,
            n_seq_max,
            n_outputs=min(n_outputs or n_ubatch, n_ubatch),
            flash_attn=flash_attn,
        ),
    )


def context_that_fits(
    info: ModelInfo,
    available: int,
    *,
    n_ubatch: int = 512,
    n_seq_max: int = 8,
    n_outputs: int | None = None,
    kv_type: str = "f16",
    flash_attn: bool = True,
) -> int:
    """Return the longest context whose estimate is at most ``available`` bytes.

    At most the training context; 0 when not even the shortest fits.
    """
    longest = info.n_ctx_train or _MOST_CONTEXT

    def fits(n_cells: int) -> bool:
        estimate = estimate_memory(
            info,
            n_ctx=min(n_cells * CELLS, longest),
            n_ubatch=n_ubatch,
            n_seq_max=n_seq_max,
            n_outputs=n_outputs,
            kv_type=kv_type,
            flash_attn=flash_attn,
        )
        return estimate.total <= available

    fitting, beyond = 0, padded(longest, CELLS) // CELLS + 1
    while beyond - fitting > 1:  # the estimate only grows with the context
        middle = (fitting + beyond) // 2
        if fits(middle):
            fitting = middle
        else:
            beyond = middle
    return min(fitting * CELLS, longest)


def _kv(
    info: ModelInfo, n_ctx: int, n_ubatch: int, n_seq_max: int, kv_type: str
) -> int:
    """Σ over layers: cells x (K width + V width), in blocks of the type."""
    packing = weight_type(kv_type)
    n_windowed = min(n_ctx, info.sliding_window * n_seq_max + n_ubatch)
    layers = (
        info.cache_layers
        or (
            LayerCache(
                info.n_heads_kv, info.head_dim_k, info.head_dim_v, windowed=False
            ),
        )
        * info.n_layers
    )
    total = 0
    for layer in layers:
        n_cells = padded(n_windowed, CELLS) if layer.windowed else n_ctx
        for head_dim in (layer.head_dim_k, layer.head_dim_v):
            total += n_cells * packing.size(layer.n_heads_kv * head_dim)
    return total


def _compute(
    info: ModelInfo,
    n_ctx: int,
    n_ubatch: int,
    n_seq_max: int,
    *,
    n_outputs: int,
    flash_attn: bool,
) -> int:
    """The larger of the logits' phase and a layer's, and the output buffer."""
    logits = _FLOAT * (info.n_vocab + _OUTPUT_WIDTHS * info.n_embd)
    mask = n_ctx * _HALF
    if not flash_attn:  # a score per head and cell, and the mask as floats
        mask = n_ctx * _FLOAT * (1 + info.n_heads)
    n_ff = info.n_ff or int(_USUAL_FF * info.n_embd)
    widths = info.n_embd + int(_FEED_FORWARD_WIDTHS * n_ff)
    layer = _FLOAT * max(widths, _LEAST_WIDTHS * info.n_embd) + mask
    output_rows = n_seq_max * info.n_vocab * _FLOAT
    return max(n_outputs * logits, n_ubatch * layer) + output_rows
