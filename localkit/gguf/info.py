"""What a GGUF file says about the model inside, from its header alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class TypeShare(NamedTuple):
    """How much of a model one weight type holds."""

    type: str
    """ggml type as llama.cpp prints it: ``q4_K``, ``f32``."""
    n_tensors: int
    n_weights: int
    n_bytes: int


class LayerCache(NamedTuple):
    """What one layer keeps in the KV cache for each token."""

    n_heads_kv: int
    """0 for a layer without a KV cache of its own."""
    head_dim_k: int
    head_dim_v: int
    """0 where V is a part of K (multi-head latent attention)."""
    windowed: bool
    """Whether the layer looks back `ModelInfo.sliding_window` tokens only."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model file: shapes, vocabulary, quant, template and licence."""

    path: Path
    file_size: int
    """Bytes of the whole file."""
    architecture: str
    name: str
    """``general.name``, or the file's stem when the file has none."""
    n_params: int
    n_ctx_train: int
    """Training context in tokens; 0 when the file does not say."""
    n_layers: int
    n_embd: int
    n_heads: int
    """Attention heads; the most of any layer where layers differ."""
    n_heads_kv: int
    """Heads of K and V; the most of any layer where layers differ."""
    head_dim_k: int
    head_dim_v: int
    n_vocab: int
    sliding_window: int
    """Tokens that windowed layers look back; 0 when no layer is windowed."""
    quant: str
    """Label of ``general.file_type``: ``Q4_K_M``. A label, not a measurement."""
    bits_per_weight: float
    """Measured: 8 × tensor bytes / weights."""
    type_mix: tuple[TypeShare, ...]
    """Largest share first."""
    chat_template: str | None
    licence: str | None
    tokenizer: str
    """``tokenizer.ggml.model``: ``gpt2``, ``llama``, …"""
    vocab_digest: str
    """sha256 over tokenizer model, pre-tokenizer, tokens, types, scores and merges:
    equal means that the same text becomes the same tokens."""
    lossy_origin: str | None
    """Quant of the coarsest ancestor, when this file was expanded or requantized
    from a quantized one (``localkit.lossy_origin``); None for a file made from
    full precision, or when nobody recorded it."""
    cache_layers: tuple[LayerCache, ...] = ()
    """Per layer; empty means that all layers are alike and none is windowed."""
    n_ff: int = 0
    """Width of the feed-forward, the most of any layer; 0 when the file is silent."""
    pools: bool = False
    """Whether it makes one vector of a text: ``.pooling_type`` is there."""
    sees: bool = False
    """Whether it takes images without a projector beside it."""
    imatrix: str | None = None
    """Text or file whose importance matrix it was quantized with, as recorded."""
    fills_gaps: bool = False
    """Whether its vocabulary has what is put around a gap to be filled."""

    @property
    def weights_size(self) -> int:
        """Bytes of all tensors."""
        return sum(share.n_bytes for share in self.type_mix)

    @property
    def label(self) -> str:
        """Quant label, with the lossy origin where there is one."""
        if self.lossy_origin is None:
            return self.quant
        return f"{self.quant} (from {self.lossy_origin})"
