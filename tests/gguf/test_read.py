from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import GGUFError
from localkit.gguf import LayerCache, TypeShare, read_info
from tests.fixtures.gguf import CHATML, F32, GGUFBuilder, tiny_llama, write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.gguf import ModelInfo


def _info(folder: Path, **options: Any) -> ModelInfo:
    return read_info(write_tiny_llama(folder / "tiny.gguf", **options))


def test_a_small_llama_says_what_it_is(tiny_gguf: Path) -> None:
    info = read_info(tiny_gguf)
    assert info.path == tiny_gguf
    assert info.file_size == tiny_gguf.stat().st_size
    assert info.architecture == "llama"
    assert info.name == "Tiny Random Llama"
    assert (info.n_layers, info.n_embd, info.n_heads, info.n_heads_kv) == (2, 64, 4, 2)
    assert (info.head_dim_k, info.head_dim_v) == (16, 16)
    assert info.n_ctx_train == 512
    assert info.n_vocab == 281
    assert info.sliding_window == 0
    assert info.quant == info.label == "F16"
    assert info.chat_template == CHATML
    assert info.licence == "apache-2.0"
    assert info.tokenizer == "gpt2"
    assert info.lossy_origin is None
    assert info.cache_layers == (LayerCache(2, 16, 16, windowed=False),) * 2


def test_the_type_mix_is_measured_largest_first(tiny_gguf: Path) -> None:
    info = read_info(tiny_gguf)
    matrices = 281 * 64 + 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 64)
    assert info.type_mix == (
        TypeShare("f16", 15, matrices, 2 * matrices),
        TypeShare("f32", 5, 5 * 64, 4 * 5 * 64),
    )
    assert info.n_params == matrices + 5 * 64
    assert info.weights_size == 2 * matrices + 4 * 5 * 64
    assert info.bits_per_weight == 8 * info.weights_size / info.n_params


@pytest.mark.model
def test_the_real_model_has_its_published_facts(smollm2_gguf: Path) -> None:
    info = read_info(smollm2_gguf)
    assert (info.architecture, info.quant, info.licence) == (
        "llama",
        "Q4_1",
        "apache-2.0",
    )
    assert info.n_params == 134_515_008
    assert (info.n_layers, info.n_embd, info.n_heads, info.n_heads_kv) == (
        30,
        576,
        9,
        3,
    )
    assert (info.head_dim_k, info.n_ctx_train, info.n_vocab) == (64, 8192, 49_152)
    assert round(info.bits_per_weight, 2) == 5.74
    assert [share.type for share in info.type_mix] == ["q4_1", "q8_0", "f32"]
    assert info.chat_template is not None
    assert "<|im_start|>" in info.chat_template


@pytest.mark.parametrize(
    ("file_type", "quant"), [(15, "Q4_K_M"), (15 | 1024, "Q4_K_M"), (999, "F16")]
)
def test_the_quant_label_is_that_of_the_file_type(
    file_type: int, quant: str, tmp_path: Path
) -> None:
    assert _info(tmp_path, metadata={"general.file_type": file_type}).quant == quant


def test_without_a_file_type_the_quant_is_that_of_most_weights(tmp_path: Path) -> None:
    builder = tiny_llama(type_id=F32)
    builder.keys = [key for key in builder.keys if key[0] != "general.file_type"]
    path = tmp_path / "x.gguf"
    path.write_bytes(builder.build())
    assert read_info(path).quant == "F32"


def test_an_expanded_file_says_what_it_was_expanded_from(tmp_path: Path) -> None:
    info = _info(tmp_path, metadata={"localkit.lossy_origin": "Q4_1"})
    assert info.lossy_origin == "Q4_1"
    assert info.label == "F16 (from Q4_1)"


def test_a_licence_called_other_is_given_by_its_name(tmp_path: Path) -> None:
    named = {"general.license": "other", "general.license.name": "llama3.2"}
    assert _info(tmp_path, metadata=named).licence == "llama3.2"


def test_a_model_without_a_name_is_called_as_its_file(tmp_path: Path) -> None:
    assert _info(tmp_path, metadata={"general.name": ""}).name == "tiny"


def test_heads_that_differ_by_layer_are_kept_by_layer(tmp_path: Path) -> None:
    heads = {"llama.attention.head_count_kv": [1, 2]}
    info = _info(tmp_path, metadata=heads)
    assert info.n_heads_kv == 2
    assert [layer.n_heads_kv for layer in info.cache_layers] == [1, 2]


def test_an_explicit_head_width_wins_over_the_quotient(tmp_path: Path) -> None:
    widths = {"llama.attention.key_length": 24, "llama.attention.value_length": 8}
    info = _info(tmp_path, metadata=widths)
    assert (info.head_dim_k, info.head_dim_v) == (24, 8)


def _described(folder: Path, architecture: str, n_layers: int, **fields: Any) -> Any:
    builder = GGUFBuilder().kv("general.architecture", architecture)
    usual = {"embedding_length": 64, "attention.head_count": 4, "context_length": 4096}
    dotted = {name.replace("__", "."): item for name, item in fields.items()}
    for name, item in {**usual, "block_count": n_layers, **dotted}.items():
        builder.kv(f"{architecture}.{name}", item)
    path = folder / "described.gguf"
    path.write_bytes(builder.build())
    return read_info(path)


def test_gemma3_windows_five_layers_of_six(tmp_path: Path) -> None:
    info = _described(tmp_path, "gemma3", 12, attention__sliding_window=512)
    assert info.sliding_window == 512
    assert [layer.windowed for layer in info.cache_layers] == [*[True] * 5, False] * 2


def test_a_pattern_in_the_file_says_which_layers_are_windowed(tmp_path: Path) -> None:
    info = _described(
        tmp_path,
        "unheard-of",
        3,
        attention__sliding_window=128,
        attention__sliding_window_pattern=[True, False, True],
        attention__key_length=32,
        attention__key_length_swa=16,
    )
    assert [layer.windowed for layer in info.cache_layers] == [True, False, True]
    assert [layer.head_dim_k for layer in info.cache_layers] == [16, 32, 16]


def test_a_window_that_llama_cpp_ignores_is_none(tmp_path: Path) -> None:
    info = _described(tmp_path, "phi3", 2, attention__sliding_window=262_144)
    assert info.sliding_window == 0


def test_layers_that_share_a_cache_have_none_of_their_own(tmp_path: Path) -> None:
    info = _described(tmp_path, "gemma4", 4, attention__shared_kv_layers=2)
    assert [layer.n_heads_kv for layer in info.cache_layers] == [4, 4, 0, 0]


def test_latent_attention_keeps_no_values(tmp_path: Path) -> None:
    info = _described(
        tmp_path,
        "deepseek2",
        1,
        attention__head_count_kv=1,
        attention__key_length=576,
        attention__key_length_mla=192,
        attention__value_length_mla=128,
    )
    assert info.cache_layers == (LayerCache(1, 576, 0, windowed=False),)


@pytest.mark.parametrize(
    "metadata",
    [
        {"general.architecture": 7},
        {"general.architecture": ""},
        {"llama.block_count": "two"},
        {"llama.block_count": 2**31},
        {"llama.attention.head_count": [4, 4, 4]},
        {"llama.attention.head_count": [4.0, 4.0]},
        {"tokenizer.ggml.tokens": "a b c"},
        {"tokenizer.ggml.scores": 1.0},
        {"tokenizer.chat_template": True},
    ],
)
def test_a_field_of_the_wrong_kind_is_refused_by_name(
    metadata: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(GGUFError) as caught:
        _info(tmp_path, metadata=metadata)
    assert caught.value.field == next(iter(metadata))


def test_a_file_without_an_architecture_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(GGUFBuilder().kv("general.name", "x").build())
    with pytest.raises(GGUFError, match=r"general\.architecture is missing"):
        read_info(path)


def test_the_same_vocabulary_has_the_same_digest(tmp_path: Path) -> None:
    one = _info(tmp_path, seed=1)
    assert one.vocab_digest == _info(tmp_path, seed=2, n_embd=256).vocab_digest
    assert len(one.vocab_digest) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"tokenizer.ggml.pre": "llama-bpe"},
        {"tokenizer.ggml.merges": ["a b", "b c"]},
        {"tokenizer.ggml.token_type": [1] * 281},
        {"tokenizer.ggml.scores": [0.5] * 281},
    ],
)
def test_whatever_changes_tokens_changes_the_digest(
    change: dict[str, Any], tmp_path: Path
) -> None:
    plain = _info(tmp_path).vocab_digest
    assert _info(tmp_path, metadata=change).vocab_digest != plain


def test_bytes_moved_between_tokens_change_the_digest(tmp_path: Path) -> None:
    digests = {
        _info(tmp_path, metadata={"tokenizer.ggml.tokens": tokens}).vocab_digest
        for tokens in (["ab", "c"], ["a", "bc"], ["abc", ""])
    }
    assert len(digests) == 3
