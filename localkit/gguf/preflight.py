"""Refusing what would abort llama.cpp, and with it the process.

llama.cpp checks much of a model with ``GGML_ASSERT``, which ends the process;
in a notebook that is the user's work. What stands here was read in
``src/llama-model.cpp`` and ``src/llama-vocab.cpp`` and tried by changing every
field of a model. Refused too is what it would silently replace or compute
nonsense with: a BOS token beyond the vocabulary, a norm's epsilon of 1. Whatever
llama.cpp refuses by itself, with a message, is left to it: an unknown
architecture for instance.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Final

from localkit.errors import GGUFError
from localkit.gguf.attention import MAX_LAYERS, head_dims, sliding_window
from localkit.gguf.fields import Fields
from localkit.gguf.reader import Header, read_header
from localkit.gguf.vocabulary import check_vocabulary

if TYPE_CHECKING:
    import os

MAX_EXPERTS: Final = 1024
"""What llama.cpp has room for (``LLAMA_MAX_EXPERTS``)."""
TENSOR_ALIGNMENT: Final = 32
"""Bytes at whose multiples ggml wants a mapped tensor; it aborts elsewhere."""
ROPE_SCALINGS: Final = ("none", "linear", "yarn", "longrope")
_NORM_EPSILONS: Final = (
    ".attention.layer_norm_rms_epsilon",
    ".attention.layer_norm_epsilon",
    ".attention.group_norm_epsilon",
)
_DENSE_WITH_EXPERT_KEYS: Final = ("hunyuan-dense", "hunyuan_vl")
"""Architectures whose one expert llama.cpp takes for none."""
_OTHER_KINDS: Final = {
    "adapter": "a LoRA adapter",
    "mmproj": "a multimodal projector",
    "clip": "a multimodal projector",
    "imatrix": "an importance matrix",
    "controlvector": "a control vector",
}
_BLOCK: Final = re.compile(r"(?:^|\.)blk\.(\d+)\.")

_WIDEST: Final = {
    ".embedding_length": 1 << 20,
    ".feed_forward_length": 1 << 24,
    ".attention.key_length": 1 << 16,
    ".attention.value_length": 1 << 16,
}
"""No model comes near; beyond, a header asks for terabytes."""


def check(source: Header | str | os.PathLike[str]) -> None:
    """Check that llama.cpp can look at this model without aborting.

    Args:
        source: a header, or the path of the file to read it from.

    Raises:
        GGUFError: names the field that is wrong, or says what the file is
            when it is no model.
    """
    header = source if isinstance(source, Header) else read_header(source)
    fields = Fields(header.kv)
    n_blocks = _check_kind(header, fields)
    n_layers = _check_layers(fields, n_blocks)
    if header.alignment % TENSOR_ALIGNMENT:
        raise _wrong(fields, "general.alignment", f"no multiple of {TENSOR_ALIGNMENT}")
    _check_numbers(header, fields)
    if any(".attn_q" in tensor.name for tensor in header.tensors):
        _check_heads(fields, n_layers)
    _check_experts(fields, n_layers)
    _check_window(fields, n_layers)
    check_vocabulary(header, fields)


def _check_kind(header: Header, fields: Fields) -> int:
    """Return how many transformer blocks have tensors; refuse what has none."""
    n_parts = fields.integer("split.count")
    if n_parts > 1:
        raise GGUFError(
            f"the file is one of {n_parts} parts of a model",
            hint="`localkit add FILE` joins them, whichever part FILE is",
            field="split.count",
        )
    for key in ("general.type", "general.architecture"):
        kind = _OTHER_KINDS.get(fields.text(key) or "")
        if kind is not None:
            raise GGUFError(
                f"the file is {kind}, not a model",
                hint="give the model's own .gguf file",
                field=key,
            )
    blocks = [_BLOCK.search(tensor.name) for tensor in header.tensors]
    n_blocks = max((int(found[1]) + 1 for found in blocks if found), default=0)
    if n_blocks == 0:
        what = (
            "a vocabulary without weights"
            if fields.has("tokenizer.ggml.tokens") and not header.tensors
            else "no language model: it has no transformer blocks"
        )
        raise GGUFError(f"the file is {what}", hint="give a model's .gguf file")
    return n_blocks


def _check_layers(fields: Fields, n_blocks: int) -> int:
    key = ".block_count"
    n_layers = fields.integer(key)
    if not 1 <= n_layers <= MAX_LAYERS:
        raise _wrong(fields, key, f"not from 1 to {MAX_LAYERS}")
    n_draft = fields.integer(".nextn_predict_layers")
    if not 0 <= n_draft <= n_layers:
        raise _wrong(
            fields, ".nextn_predict_layers", f"more than the {n_layers} layers"
        )
    # Files are published with and without the layers that only draft tokens.
    if not n_layers - n_draft <= n_blocks <= n_layers:
        raise _wrong(fields, key, f"but the file has the tensors of {n_blocks} blocks")
    return n_layers


def _check_numbers(header: Header, fields: Fields) -> None:
    for key, value in header.kv.items():
        if isinstance(value, float) and not isfinite(value):
            raise _wrong(fields, key, "not a finite number")
    for key in _NORM_EPSILONS:
        epsilon = fields.raw(key)
        if epsilon is None:
            continue
        if not (isinstance(epsilon, float) and 0 < epsilon < 1):
            raise _wrong(fields, key, "not a number above 0 and below 1")
    for key in (".context_length", ".embedding_length"):
        if fields.integer(key) < 1:
            raise _wrong(fields, key, "not a positive number")
    for key, widest in _WIDEST.items():
        width = fields.raw(key)
        if isinstance(width, int) and width > widest:
            raise _wrong(fields, key, f"more than {widest}")
    scaling = fields.text(".rope.scaling.type", "linear")
    if scaling not in ROPE_SCALINGS:
        raise _wrong(
            fields, ".rope.scaling.type", f"not one of {', '.join(ROPE_SCALINGS)}"
        )


def _check_heads(fields: Fields, n_layers: int) -> None:
    key, key_kv = ".attention.head_count", ".attention.head_count_kv"
    all_heads = fields.per_layer(key, n_layers)
    all_heads_kv = (
        fields.per_layer(key_kv, n_layers) if fields.has(key_kv) else all_heads
    )
    if max(all_heads) < 1 or min(all_heads) < 0:
        raise _wrong(fields, key, "not a positive number")
    for n_heads, n_heads_kv in zip(all_heads, all_heads_kv, strict=True):
        if n_heads_kv < 0 or (n_heads_kv and n_heads % n_heads_kv):
            raise _wrong(fields, key_kv, f"no divisor of the {n_heads} heads")
    width, width_v = head_dims(fields, max(all_heads))
    for name, dim in ((".key_length", width), (".value_length", width_v)):
        if dim < 1:
            named = f".attention{name}" if fields.has(f".attention{name}") else key
            raise _wrong(fields, named, "which leaves heads of no width")
    rotated = fields.integer(".rope.dimension_count", width)
    if not 0 <= rotated <= width or rotated % 2:
        raise _wrong(
            fields,
            ".rope.dimension_count",
            f"not an even number up to the head's width {width}",
        )


def _check_experts(fields: Fields, n_layers: int) -> None:
    n_experts = fields.integer(".expert_count")
    if fields.architecture in _DENSE_WITH_EXPERT_KEYS and n_experts <= 1:
        return
    if not 0 <= n_experts <= MAX_EXPERTS:
        raise _wrong(fields, ".expert_count", f"not from 0 to {MAX_EXPERTS}")
    used = fields.per_layer(".expert_used_count", n_layers)
    if max(used) > n_experts or min(used) < 0 or (n_experts and not max(used)):
        raise _wrong(fields, ".expert_used_count", f"of {n_experts} experts")
    n_groups = fields.integer(".expert_group_count")
    if n_groups == 0:
        return
    if n_groups < 0 or n_groups >= max(n_experts, 1) or n_experts % n_groups:
        raise _wrong(
            fields, ".expert_group_count", f"which does not divide {n_experts} experts"
        )
    if n_groups > 1 and not 0 < fields.integer(".expert_group_used_count") < n_groups:
        raise _wrong(fields, ".expert_group_used_count", f"of {n_groups} groups")


def _check_window(fields: Fields, n_layers: int) -> None:
    n_ctx_train = fields.integer(".context_length")
    if not 0 <= sliding_window(fields, n_layers) <= n_ctx_train:
        raise _wrong(
            fields,
            ".attention.sliding_window",
            f"more than the training context of {n_ctx_train} tokens",
        )


def _wrong(fields: Fields, key: str, why: str) -> GGUFError:
    """Return the error for a field: its name, its value, and ``why``."""
    shown = repr(fields.raw(key)) if fields.has(key) else "missing"
    if len(shown) > 60:
        shown = f"{shown[:60]}…"
    return GGUFError(f"{fields.full(key)} is {shown}, {why}", field=fields.full(key))
