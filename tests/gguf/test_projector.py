"""What the header of a projector must say before llama.cpp looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import GGUFError, Unsupported
from localkit.gguf.projector import check_projector
from tests.fixtures.projector import Kind, write_tiny_projector

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["mlp", "gemma3", "qwen2vl_merger"])
def test_a_sound_projector_passes(tmp_path: Path, kind: Kind) -> None:
    path = write_tiny_projector(tmp_path / "mmproj.gguf", kind=kind)
    assert check_projector(path).tensors


def test_a_model_is_not_a_projector(tiny_gguf: Path) -> None:
    with pytest.raises(GGUFError, match="not a projector"):
        check_projector(tiny_gguf)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clip.vision.image_size", 2**30),
        ("clip.vision.image_size", "224"),
        ("clip.vision.image_size", True),
        ("clip.vision.patch_size", 0),
        ("clip.vision.patch_size", 64),
        ("clip.vision.embedding_length", 0),
        ("clip.vision.block_count", 100_000),
        ("clip.vision.attention.head_count", 0),
        ("clip.vision.attention.head_count", 3),
        ("clip.vision.attention.head_count", 10**6),
        ("clip.vision.attention.layer_norm_epsilon", float("nan")),
        ("clip.has_vision_encoder", 1),
        ("clip.projector_type", 7),
    ],
)
def test_G5_a_wrong_field_is_named(tmp_path: Path, key: str, value: Any) -> None:
    path = write_tiny_projector(tmp_path / "mmproj.gguf", metadata={key: value})
    with pytest.raises(GGUFError) as raised:
        check_projector(path)
    assert key.rpartition(".")[2] in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clip.has_vision_encoder", False),
        ("clip.projector_type", "hunyuanvl"),
        ("clip.projector_type", "deepseek4v"),
    ],
)
def test_a_kind_that_cannot_be_used_is_unsupported(
    tmp_path: Path, key: str, value: Any
) -> None:
    path = write_tiny_projector(tmp_path / "mmproj.gguf", metadata={key: value})
    with pytest.raises(Unsupported):
        check_projector(path)


def test_a_truncated_projector_is_refused(tmp_path: Path) -> None:
    path = write_tiny_projector(tmp_path / "mmproj.gguf")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(GGUFError):
        check_projector(path)
