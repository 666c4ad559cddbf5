"""Which layers keep what in the KV cache, as llama.cpp decides it.

From llama.cpp's ``src/llama-model.cpp`` and ``src/models/*.cpp``.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final, NamedTuple

from localkit.gguf.info import LayerCache

if TYPE_CHECKING:
    from localkit.gguf.fields import Fields

MAX_LAYERS: Final = 512
"""What llama.cpp has room for (``LLAMA_MAX_LAYERS``); it aborts beyond."""


class _Pattern(NamedTuple):
    period: int
    """One layer in so many is not windowed."""
    dense_first: bool = False
    """Whether that is the first of each period rather than the last."""
    window: int = 0
    """Tokens, where the file need not say."""


# Architectures whose windowed layers llama.cpp knows without metadata
# (`load_swa_pattern` in src/models/*.cpp). Others are windowed only where the
# file has `attention.sliding_window_pattern`; a bare `sliding_window` in a
# llama or phi3 file is ignored there, and so it is here.
_PATTERNS: Final[dict[str, _Pattern]] = {
    "afmoe": _Pattern(4),
    "cohere2": _Pattern(4),
    "cohere2moe": _Pattern(4, dense_first=True),
    "exaone-moe": _Pattern(4, window=128),
    "exaone4": _Pattern(4, window=4096),
    "gemma-embedding": _Pattern(6),
    "gemma2": _Pattern(2, window=4096),
    "gemma3": _Pattern(6),
    "gemma3n": _Pattern(5),
    "gpt-oss": _Pattern(2),
    "laguna": _Pattern(4, dense_first=True),
    "llama4": _Pattern(4, window=8192),
    "mellum": _Pattern(4),
    "modern-bert": _Pattern(3, dense_first=True),
    "muse-glimmer": _Pattern(4),
    "olmo2": _Pattern(4),
    "plamo3": _Pattern(8),
    "smallthinker": _Pattern(4, dense_first=True, window=4096),
}
_EXAONE4_WINDOWED_LAYERS: Final = 64
"""The only size of exaone4 that llama.cpp windows."""


def sliding_window(fields: Fields, n_layers: int) -> int:
    """Return how many tokens windowed layers look back; 0 when none is windowed."""
    pattern = _PATTERNS.get(fields.architecture)
    if fields.architecture == "exaone4" and n_layers != _EXAONE4_WINDOWED_LAYERS:
        return 0
    if pattern is None and not fields.has(".attention.sliding_window_pattern"):
        return 0
    return fields.integer(
        ".attention.sliding_window", default=pattern.window if pattern else 0
    )


def cache_layers(fields: Fields, n_layers: int) -> tuple[LayerCache, ...]:
    """Return what each layer keeps in the KV cache.

    Recurrent and linear-attention layers count as full attention where the
    file gives them heads; their KV is then estimated too high.
    """
    n_heads = fields.per_layer(".attention.head_count", n_layers)
    n_heads_kv = (
        fields.per_layer(".attention.head_count_kv", n_layers)
        if fields.has(".attention.head_count_kv")
        else n_heads
    )
    dim_k, dim_v = head_dims(fields, max(n_heads, default=0))
    dim_k_windowed = fields.integer(".attention.key_length_swa", dim_k)
    dim_v_windowed = fields.integer(".attention.value_length_swa", dim_v)
    if fields.integer(".attention.key_length_mla") and fields.integer(
        ".attention.value_length_mla"
    ):
        dim_v = dim_v_windowed = 0
    # The last layers may read the cache of earlier ones, or only draft tokens.
    n_own = n_layers - fields.integer(".nextn_predict_layers")
    if fields.has(".attention.shared_kv_layers"):
        n_own = min(n_own, n_layers - fields.integer(".attention.shared_kv_layers"))
    windowed = _windowed(fields, n_layers)
    return tuple(
        LayerCache(
            n_heads_kv=n_heads_kv[layer] if layer < n_own else 0,
            head_dim_k=dim_k_windowed if windowed[layer] else dim_k,
            head_dim_v=dim_v_windowed if windowed[layer] else dim_v,
            windowed=windowed[layer],
        )
        for layer in range(n_layers)
    )


def head_dims(fields: Fields, n_heads: int) -> tuple[int, int]:
    """Return the width of one head's K and V."""
    width = fields.integer(".embedding_length") // n_heads if n_heads > 0 else 0
    return (
        fields.integer(".attention.key_length", width),
        fields.integer(".attention.value_length", width),
    )


def _windowed(fields: Fields, n_layers: int) -> tuple[bool, ...]:
    if not sliding_window(fields, n_layers):
        return (False,) * n_layers
    key = ".attention.sliding_window_pattern"
    pattern = _PATTERNS.get(fields.architecture, _Pattern(1))
    if isinstance(fields.raw(key), array):
        return tuple(map(bool, fields.per_layer(key, n_layers)))
    period = fields.integer(key, pattern.period)
    if period == 0:
        return (True,) * n_layers
    dense = 0 if pattern.dense_first else period - 1
    return tuple(layer % period != dense for layer in range(n_layers))
