from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localkit.errors import GGUFError
from localkit.gguf import read_header
from localkit.gguf.preflight import check
from tests.fixtures.gguf import (
    BOOL,
    FLOAT32,
    INT32,
    STRING,
    UINT16,
    UINT32,
    UINT64,
    GGUFBuilder,
    tiny_llama,
    value,
    write_tiny_llama,
)

NAN, INFINITY = float("nan"), float("inf")
_NAMED_INSTEAD = {"llama.expert_count": "llama.expert_used_count"}


def test_a_sound_model_passes_by_path_and_by_header(tiny_gguf: Path) -> None:
    check(tiny_gguf)
    check(str(tiny_gguf))
    check(read_header(tiny_gguf))


@pytest.mark.parametrize("options", [{"vocab": "spm"}, {"n_embd": 256}])
def test_every_kind_of_test_model_passes(
    options: dict[str, Any], tmp_path: Path
) -> None:
    check(write_tiny_llama(tmp_path / "x.gguf", **options))


@pytest.mark.model
def test_the_real_model_passes(smollm2_gguf: Path) -> None:
    check(smollm2_gguf)


def test_an_unknown_architecture_is_left_to_the_engine(tmp_path: Path) -> None:
    builder = tiny_llama()
    builder.keys = [
        (str(key).replace("llama.", "brandnew."), raw) for key, raw in builder.keys
    ]
    builder.keys[0] = ("general.architecture", value("brandnew"))
    path = tmp_path / "x.gguf"
    path.write_bytes(builder.build())
    check(path)


@pytest.mark.parametrize(
    ("key", "item"),
    [
        ("llama.block_count", 0),
        ("llama.block_count", 1),
        ("llama.block_count", 3),
        ("llama.block_count", 10**6),
        ("llama.block_count", 2**31),
        ("llama.nextn_predict_layers", 7),
        ("llama.attention.head_count", 0),
        ("llama.attention.head_count", 2**31),
        ("llama.attention.head_count_kv", 3),
        ("llama.attention.key_length", 0),
        ("llama.rope.dimension_count", 7),
        ("llama.rope.dimension_count", 4096),
        ("llama.rope.scaling.type", "spiral"),
        ("llama.rope.freq_base", NAN),
        ("llama.rope.scaling.factor", INFINITY),
        ("llama.attention.layer_norm_rms_epsilon", NAN),
        ("llama.attention.layer_norm_rms_epsilon", INFINITY),
        ("llama.attention.layer_norm_rms_epsilon", 0.0),
        ("llama.attention.layer_norm_rms_epsilon", -1e-5),
        ("llama.attention.layer_norm_rms_epsilon", 1.0),
        ("llama.attention.layer_norm_rms_epsilon", 1),
        ("llama.context_length", 0),
        ("llama.embedding_length", 0),
        ("llama.expert_count", 7),
        ("llama.expert_count", 2**31),
        ("llama.expert_used_count", 2),
        ("llama.expert_group_count", 2),
        ("general.alignment", 1),
        ("tokenizer.ggml.tokens", ["a", "b"]),
        ("tokenizer.ggml.tokens", [*map(str, range(280)), "0"]),
        ("tokenizer.ggml.tokens", [*map(str, range(280)), "0\0b"]),
        ("tokenizer.ggml.tokens", ["", "[EMPTY_0]", *map(str, range(279))]),
        ("tokenizer.ggml.token_type", [1, 1, 1]),
        ("tokenizer.ggml.scores", [0.0, 1.0]),
        ("tokenizer.ggml.bos_token_id", 281),
        ("tokenizer.ggml.eos_token_id", 2**32 - 1),
        ("tokenizer.ggml.unknown_token_id", 2**31 - 1),
    ],
)
def test_G3_a_value_the_engine_cannot_work_with_is_refused_by_name(
    key: str, item: Any, tmp_path: Path
) -> None:
    builder = tiny_llama(metadata={key: item})
    if key == "general.alignment":
        builder.alignment = item
    path = tmp_path / "x.gguf"
    path.write_bytes(builder.build())
    with pytest.raises(GGUFError) as caught:
        check(path)
    field = caught.value.field
    # Seven experts of which none is used: the second number is the wrong one.
    assert field in {key, _NAMED_INSTEAD.get(key)}
    assert field in str(caught.value)


@pytest.mark.parametrize("text", ["<0x-1>", "<0xG0>", "<0x1>", "0x41", ""])
def test_G3_a_byte_token_that_names_no_byte_is_refused(
    text: str, tmp_path: Path
) -> None:
    path = write_tiny_llama(tmp_path / "x.gguf", vocab="spm")
    texts = read_header(path).kv["tokenizer.ggml.tokens"]
    assert isinstance(texts, tuple)
    tokens = [token.decode() for token in texts]
    tokens[tokens.index("<0x41>")] = text
    metadata = {"tokenizer.ggml.tokens": tokens}
    with pytest.raises(GGUFError, match="stands for a byte"):
        check(write_tiny_llama(path, vocab="spm", metadata=metadata))


def test_G3_asking_for_a_bos_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    builder = tiny_llama(metadata={"tokenizer.ggml.add_bos_token": True})
    builder.keys = [
        (key, value("t5") if key == "tokenizer.ggml.model" else raw)
        for key, raw in builder.keys
        if key != "tokenizer.ggml.bos_token_id"
    ]
    path = tmp_path / "x.gguf"
    path.write_bytes(builder.build())
    with pytest.raises(GGUFError, match="no BOS token"):
        check(path)


@pytest.mark.parametrize(
    ("window", "sound"), [(512, True), (513, False), (2**31 - 1, False)]
)
def test_G3_a_window_beyond_the_training_context_is_refused(
    window: int, sound: bool, tmp_path: Path
) -> None:
    metadata = {
        "llama.attention.sliding_window": window,
        "llama.attention.sliding_window_pattern": 2,
    }
    path = write_tiny_llama(tmp_path / "x.gguf", metadata=metadata)
    if sound:
        check(path)
        return
    with pytest.raises(GGUFError, match="training context of 512"):
        check(path)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"split.count": 3}, "one of 3 parts"),
        ({"general.type": "adapter"}, "a LoRA adapter"),
        ({"general.type": "mmproj"}, "a multimodal projector"),
        ({"general.type": "imatrix"}, "an importance matrix"),
    ],
)
def test_what_is_no_model_is_told_for_what_it_is(
    metadata: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(GGUFError, match=says):
        check(write_tiny_llama(tmp_path / "x.gguf", metadata=metadata))


def test_a_projector_is_told_by_its_architecture(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    builder = GGUFBuilder().kv("general.architecture", "clip")
    path.write_bytes(builder.tensor("v.blk.0.q", (1,), bytes(4)).build())
    with pytest.raises(GGUFError, match="a multimodal projector"):
        check(path)


def test_a_vocabulary_without_weights_is_told_for_what_it_is(tmp_path: Path) -> None:
    builder = tiny_llama()
    builder.table, builder.data = [], b""
    path = tmp_path / "x.gguf"
    path.write_bytes(builder.build())
    with pytest.raises(GGUFError, match="a vocabulary without weights"):
        check(path)


_RARE: dict[str, Any] = {
    "general.alignment": 32,
    "general.quantization_version": 2,
    "llama.attention.causal": True,
    "llama.attention.clamp_kqv": 0.0,
    "llama.attention.key_length": 16,
    "llama.attention.max_alibi_bias": 0.0,
    "llama.attention.scale": 1.0,
    "llama.attention.shared_kv_layers": 0,
    "llama.attention.sliding_window": 16,
    "llama.attention.value_length": 16,
    "llama.embedding_scale": 1.0,
    "llama.expert_count": 0,
    "llama.expert_group_count": 0,
    "llama.expert_used_count": 0,
    "llama.logit_scale": 1.0,
    "llama.nextn_predict_layers": 0,
    "llama.pooling_type": 0,
    "llama.residual_scale": 1.0,
    "llama.rope.scaling.attn_factor": 1.0,
    "llama.rope.scaling.factor": 1.0,
    "llama.rope.scaling.original_context_length": 512,
    "llama.rope.scaling.type": "linear",
    "tokenizer.ggml.add_eos_token": False,
    "tokenizer.ggml.eot_token_id": 2,
    "tokenizer.ggml.token_type_count": 0,
}
"""Fields that models have beyond those of the small llama; it loads with them."""


def _mutations(type_id: int) -> list[bytes]:
    """Return the values of row G3 in the type that a field has, and in another."""
    if type_id == STRING:
        return [value("zzz"), value("")]
    if type_id == BOOL:
        return [value(False), value(True), value(1)]
    if type_id == FLOAT32:
        numbers = (0.0, 1.0, 7.0, 2.0**31, NAN, INFINITY, -1.0)
        return [value(number) for number in numbers]
    assert type_id == UINT32
    numbers_ = (0, 1, 7, 2**31 - 1, 2**32 - 1)
    wrong_types = [value(NAN), value(7, UINT64), value(7, INT32), value(7, UINT16)]
    return [value(number) for number in numbers_] + wrong_types


@pytest.mark.faults
@pytest.mark.skipif(sys.platform == "win32", reason="the child forks for each file")
@pytest.mark.parametrize("vocab", ["bpe", "spm"])
def test_G3_no_mutated_field_that_passes_kills_the_engine(
    vocab: Any, tmp_path: Path
) -> None:
    base = tiny_llama(n_layers=1, vocab=vocab, metadata=_RARE)
    (tmp_path / "unchanged.gguf").write_bytes(base.build())
    refused: set[str] = set()
    for key, original in base.keys:
        type_id = int.from_bytes(original[:4], "little")
        if type_id > STRING:  # the vocabulary's arrays
            continue
        for place, raw in enumerate(_mutations(type_id)):
            mutated = GGUFBuilder()
            mutated.keys = [(k, raw if k == key else r) for k, r in base.keys]
            mutated.table, mutated.data = base.table, base.data
            path = tmp_path / f"{key!s} {place}.gguf"
            path.write_bytes(mutated.build())
            try:
                check(path)
            except GGUFError:
                path.unlink()
                refused.add(str(key))
    script = Path(__file__).with_name("load_each.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path],
        capture_output=True,
        check=True,
        text=True,
        timeout=100,
    )
    ends: dict[str, int] = json.loads(done.stdout)
    assert ends.pop("unchanged") == 0
    assert {name: end for name, end in ends.items() if end < 0} == {}
    assert len(ends) > 80
    assert {"llama.block_count", "general.alignment", "llama.expert_count"} <= refused


@pytest.mark.parametrize(
    "key",
    ["embedding_length", "feed_forward_length", "attention.key_length"],
)
def test_G3_a_width_that_asks_for_terabytes_is_refused_by_name(
    key: str, tmp_path: Path
) -> None:
    path = write_tiny_llama(tmp_path / "x.gguf", metadata={f"llama.{key}": 2**31 - 1})
    with pytest.raises(GGUFError, match=key) as caught:
        check(path)
    assert caught.value.field == f"llama.{key}"
