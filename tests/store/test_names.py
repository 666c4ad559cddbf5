from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from localkit.gguf import read_info
from localkit.store.names import default_ref


@pytest.mark.parametrize(
    ("file", "quant", "ref"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1", "smollm2-135m-instruct:q4_1"),
        ("Qwen2.5-0.5B-q4_k_m.gguf", "Q4_K_M", "qwen2.5-0.5b:q4_k_m"),
        ("gemma 3 (it)_IQ4_XS.GGUF", "IQ4_XS", "gemma-3-it:iq4_xs"),
        ("model-BF16.gguf", "BF16", "model:bf16"),
        ("unquantized", "F32", "unquantized:f32"),
        ("misnamed-Q8_0.gguf", "Q4_0", "misnamed:q4_0"),
        ("Q4_K_M.gguf", "Q4_K_M", "header-name:q4_k_m"),
        ("模型.gguf", "F16", "header-name:f16"),
        ("Café.gguf", "F16", "cafe:f16"),
        ("..gguf", "F16", "header-name:f16"),
        ("con.gguf", "F16", "header-name:f16"),
        ("-rf.gguf", "F16", "rf:f16"),
        ("x.gguf", "", "x:latest"),
        ("a" * 200 + ".gguf", "F16", "a" * 80 + ":f16"),
    ],
)
def test_named_after_file_and_header(
    tiny_gguf: Path, file: str, quant: str, ref: str
) -> None:
    info = replace(read_info(tiny_gguf), name="Header Name", quant=quant)
    assert str(default_ref(Path("/somewhere") / file, info)) == ref


def test_a_file_without_any_usable_name_is_still_named(tiny_gguf: Path) -> None:
    info = replace(read_info(tiny_gguf), name="模型", quant="F16")
    assert str(default_ref(Path("模型.gguf"), info)) == "model:f16"
