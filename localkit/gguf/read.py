"""From a file to `ModelInfo`, through its header alone."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from localkit.errors import GGUFError
from localkit.gguf.attention import (
    MAX_LAYERS,
    cache_layers,
    head_dims,
    sliding_window,
)
from localkit.gguf.fields import Fields
from localkit.gguf.gaps import fills_gaps
from localkit.gguf.info import ModelInfo, TypeShare
from localkit.gguf.reader import Header, read_header
from localkit.gguf.types import FILE_TYPES
from localkit.gguf.vocabulary import vocabulary_digest, vocabulary_size

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from localkit.gguf.tensors import TensorInfo

GUESSED: Final = 1024
"""Bit that llama.cpp sets in a file type it had to guess."""
LOSSY_ORIGIN: Final = "localkit.lossy_origin"
"""Key under which quantizing a quantized file records the coarsest ancestor."""


def read_info(path: str | os.PathLike[str]) -> ModelInfo:
    """Read what the GGUF at ``path`` says about its model.

    Raises:
        GGUFError: not a GGUF, damaged, or without the fields a model must have.
    """
    return model_info(read_header(path), Path(path))


def model_info(header: Header, path: Path) -> ModelInfo:
    """Return what ``header``, read from ``path``, says about its model.

    Raises:
        GGUFError: a field has a value of the wrong kind.
    """
    fields = Fields(header.kv)
    n_layers = fields.integer(".block_count")
    if not 0 <= n_layers <= MAX_LAYERS:
        raise GGUFError(
            f"{fields.full('.block_count')} is {n_layers}, "
            f"more layers than the {MAX_LAYERS} that llama.cpp holds",
            field=fields.full(".block_count"),
        )
    n_heads = max(fields.per_layer(".attention.head_count", n_layers), default=0)
    layers = cache_layers(fields, n_layers)
    dim_k, dim_v = head_dims(fields, n_heads)
    mix = _type_mix(header.tensors)
    n_params = sum(share.n_weights for share in mix)
    n_bytes = sum(share.n_bytes for share in mix)
    return ModelInfo(
        path=path,
        file_size=header.file_size,
        architecture=fields.architecture,
        name=fields.text("general.name") or path.stem,
        n_params=n_params,
        n_ctx_train=fields.integer(".context_length"),
        n_layers=n_layers,
        n_embd=fields.integer(".embedding_length"),
        n_heads=n_heads,
        n_heads_kv=max((layer.n_heads_kv for layer in layers), default=0),
        head_dim_k=dim_k,
        head_dim_v=dim_v,
        n_vocab=vocabulary_size(fields),
        sliding_window=sliding_window(fields, n_layers),
        quant=_quant(fields, mix),
        bits_per_weight=8 * n_bytes / n_params if n_params else 0.0,
        type_mix=mix,
        chat_template=fields.text("tokenizer.chat_template"),
        licence=_licence(fields),
        tokenizer=fields.text("tokenizer.ggml.model", ""),
        vocab_digest=vocabulary_digest(fields),
        lossy_origin=fields.text(LOSSY_ORIGIN),
        cache_layers=layers,
        n_ff=max(fields.per_layer(".feed_forward_length", n_layers), default=0),
        pools=fields.has(".pooling_type"),
        sees=fields.has(".vision.block_count"),
        imatrix=_imatrix(fields),
        fills_gaps=fills_gaps(fields),
    )


def _type_mix(tensors: Iterable[TensorInfo]) -> tuple[TypeShare, ...]:
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for tensor in tensors:
        count = counts[tensor.type.name]
        count[0] += 1
        count[1] += tensor.n_weights
        count[2] += tensor.n_bytes
    shares = (TypeShare(name, *count) for name, count in counts.items())
    return tuple(sorted(shares, key=lambda share: (-share.n_weights, share.type)))


def _quant(fields: Fields, mix: tuple[TypeShare, ...]) -> str:
    """Return the file type's label, or the type of most weights without one."""
    label = FILE_TYPES.get(fields.integer("general.file_type", -1) & ~GUESSED)
    return label or (mix[0].type.upper() if mix else "")


def _imatrix(fields: Fields) -> str | None:
    """Return the text, else the file, of the importance matrix that was used."""
    names = (fields.text(f"quantize.imatrix.{key}") for key in ("dataset", "file"))
    return next((name for name in names if name), None)


def _licence(fields: Fields) -> str | None:
    licence = fields.text("general.license")
    if licence in (None, "other"):  # "other" says that the name stands elsewhere
        return fields.text("general.license.name") or licence
    return licence
