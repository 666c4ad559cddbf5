"""Folders of weights as transformers writes them: a tiny llama, sound or not."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WIDTH, N_LAYERS, N_HEADS, N_HEADS_KV, N_FF = 64, 3, 4, 2, 128
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# No two merges compete: llama.cpp would break the tie by place, BPE by rank.
# No two merges compete: llama.cpp breaks a tie by place, BPE by rank.
_PIECES = ["▁", *"abcdefghijklmnopqrstuvwxyz.,", "th", "the", "▁the", "ca", "cat"]
_PIECES += ["▁cat", "sa", "sat", "▁sat", "on", "▁on", "an", "and", "▁and"]
_MERGES = ["t h", "th e", "▁ the", "c a", "ca t", "▁ cat", "s a", "sa t", "▁ sat"]
_MERGES += ["o n", "▁ on", "a n", "an d", "▁ and"]
TOKENS = ["<unk>", "<s>", "</s>", *_BYTES, *_PIECES]


def write_llama_folder(folder: Path, *, seed: int = 0) -> Path:
    """Write a llama with random weights and a small BPE tokenizer; return it."""
    folder.mkdir(parents=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": N_FF,
        "num_hidden_layers": N_LAYERS,
        "num_attention_heads": N_HEADS,
        "num_key_value_heads": N_HEADS_KV,
        "head_dim": WIDTH // N_HEADS,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "vocab_size": len(TOKENS),
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "float32",
    }
    write_json(folder / "config.json", config)
    write_safetensors(folder / "model.safetensors", _weights(seed))
    write_json(folder / "tokenizer.json", _tokenizer())
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "add_bos_token": True,
        },
    )
    return folder


def write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")


def write_safetensors(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write F32 arrays as safetensors."""
    header, data = {}, b""
    for name, tensor in tensors.items():
        raw = np.ascontiguousarray(tensor, "<f4").tobytes()
        span = [len(data), len(data) + len(raw)]
        shape = list(tensor.shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": span}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def _weights(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)

    def matrix(n_out: int, n_in: int) -> Any:
        return random.normal(0.0, n_in**-0.5, (n_out, n_in))

    width_kv = WIDTH // N_HEADS * N_HEADS_KV
    found = {"model.embed_tokens.weight": matrix(len(TOKENS), WIDTH)}
    for layer in range(N_LAYERS):
        block = f"model.layers.{layer}"
        found |= {
            f"{block}.self_attn.q_proj.weight": matrix(WIDTH, WIDTH),
            f"{block}.self_attn.k_proj.weight": matrix(width_kv, WIDTH),
            f"{block}.self_attn.v_proj.weight": matrix(width_kv, WIDTH),
            f"{block}.self_attn.o_proj.weight": matrix(WIDTH, WIDTH),
            f"{block}.mlp.gate_proj.weight": matrix(N_FF, WIDTH),
            f"{block}.mlp.up_proj.weight": matrix(N_FF, WIDTH),
            f"{block}.mlp.down_proj.weight": matrix(WIDTH, N_FF),
            f"{block}.input_layernorm.weight": 1 + 0.1 * random.normal(size=WIDTH),
            f"{block}.post_attention_layernorm.weight": np.ones(WIDTH),
        }
    found["model.norm.weight"] = np.ones(WIDTH)
    found["lm_head.weight"] = matrix(len(TOKENS), WIDTH)
    return found


def _tokenizer() -> dict[str, Any]:
    """Return Llama 2's kind of tokenizer: BPE with bytes for what is unknown."""
    special = [
        {
            "id": index,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, token in enumerate(TOKENS[:3])
    ]
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, text],
            "pair": [bos, text, second],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(TOKENS)},
            "merges": _MERGES,
        },
    }
