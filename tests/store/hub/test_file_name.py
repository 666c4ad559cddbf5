from __future__ import annotations

import pytest

from localkit.store.hub.file_name import read_name


@pytest.mark.parametrize(
    ("path", "label", "model"),
    [
        ("Qwen2.5-0.5B-Instruct-Q4_K_M.gguf", "Q4_K_M", "qwen2.5-0.5b-instruct"),
        ("qwen2.5-0.5b-instruct-fp16.gguf", "F16", "qwen2.5-0.5b-instruct"),
        ("llama-2-7b.Q4_0.gguf", "Q4_0", "llama-2-7b"),
        ("Model.i1-IQ3_XXS.gguf", "IQ3_XXS", "model"),
        ("foo-Q5_K_M-imat.gguf", "Q5_K_M", "foo"),
        ("q4_k_m/model.gguf", "Q4_K_M", "model"),
        ("UD-Q4_K_XL/M-UD-Q4_K_XL.gguf", "UD-Q4_K_XL", "m"),
        ("gpt-oss-20b-mxfp4_moe.gguf", "MXFP4_MOE", "gpt-oss-20b"),
        ("x-Q4_0_4_8.gguf", "Q4_0_4_8", "x"),
        ("x-IQ4_NL.gguf", "IQ4_NL", "x"),
        ("x-Q6_K_L.GGUF", "Q6_K_L", "x"),
        ("x-TQ1_0.gguf", "TQ1_0", "x"),
        ("x-BF16.gguf", "BF16", "x"),
        ("ggml-model-f16.gguf", "F16", "model"),
        ("report-Q2-2025-Q8_0.gguf", "Q8_0", "report-q2-2025"),
        ("model.gguf", "model", "model"),
    ],
)
def test_quant_and_model_are_told_apart(path: str, label: str, model: str) -> None:
    name = read_name(path)
    assert (name.label, name.model) == (label, model)
    assert name.is_model


def test_a_part_knows_its_place() -> None:
    name = read_name("Q4_K_M/Model-Q4_K_M-00002-of-00003.gguf")
    assert (name.label, name.model, name.part, name.n_parts) == (
        "Q4_K_M",
        "model",
        2,
        3,
    )


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("mmproj-F16.gguf", "F16"),
        ("google_gemma-3-4b-it-mmproj-bf16.gguf", "BF16"),
        ("mmproj-model.gguf", "mmproj-model"),
    ],
)
def test_a_projector_is_no_model(path: str, label: str) -> None:
    name = read_name(path)
    assert name.is_projector
    assert not name.is_model
    assert name.label == label


def test_an_importance_matrix_is_no_model() -> None:
    assert not read_name("foo-imatrix.gguf").is_model
