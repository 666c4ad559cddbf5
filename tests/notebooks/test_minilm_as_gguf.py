"""The encoder that a notebook writes computes what the published network does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from localkit.kit import Kit
from tests.fixtures.encoder import minilm

pytestmark = pytest.mark.model

SCRIPT = Path(__file__).parents[2] / "notebooks" / "minilm_as_gguf.py"
TEXTS = ["A cat sits on the mat.", "Naïve café owners rejoiced: prices fell by 3.5 %!"]


def test_its_vectors_are_those_of_the_safetensors(tmp_path: Path) -> None:
    encoder = minilm()
    spec = importlib.util.spec_from_file_location("minilm_as_gguf", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    path = tmp_path / "all-minilm-l6-v2.gguf"
    script.write(path)

    kit = Kit()
    try:
        kit.store.add(path, "all-minilm-l6-v2")
        with kit.load("all-minilm-l6-v2") as model:
            for text in TEXTS:
                vector = model.embed(text)
                tokens = model.tokenize(text, add_special=True)
                expected = encoder.embed(tokens, "mean")
                assert float(vector @ expected) > 0.99999
    finally:
        kit.close()
