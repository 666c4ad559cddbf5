"""Adding what lies on this machine: split models, adapters, projectors, folders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from localkit.errors import (
    AdapterInvalid,
    GGUFError,
    LocalkitError,
    SourceNotFound,
)
from localkit.io import hashing
from localkit.kit import Kit
from localkit.runtime.protocol import Adapter, ServeParams
from localkit.store.importing.bring import bring_in, bring_in_adapter, bring_in_all
from localkit.store.manifest import ADAPTER_TYPE, MODEL_TYPE, PROJECTOR_TYPE
from localkit.store.usage import usage
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.lora import write_lora
from tests.fixtures.projector import write_tiny_projector
from tests.fixtures.splitting import split

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.store.layout import Layout


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_tiny_llama(tmp_path / "tiny-F16.gguf")


@pytest.fixture
def kit() -> Iterator[Kit]:
    kit = Kit()
    yield kit
    kit.close()


def test_a_file_costs_one_read_and_no_copy(
    file: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    chunks = hashing.read_chunks

    def counted(*args: Any, **options: Any) -> Iterator[memoryview]:
        nonlocal read
        for chunk in chunks(*args, **options):
            read += len(chunk)
            yield chunk

    monkeypatch.setattr(hashing, "read_chunks", counted)
    monkeypatch.setattr("localkit.io.link.read_chunks", counted)
    receipt = bring_in(layout, file)
    assert read == file.stat().st_size
    if receipt.method == "hardlink":
        assert receipt.model.weights.stat().st_ino == file.stat().st_ino
    else:
        assert receipt.method in {"reflink", "copy"}


@pytest.mark.parametrize("given", [0, 1, 2, "folder"])
def test_a_split_model_is_merged_from_any_of_its_parts(
    file: Path, tmp_path: Path, layout: Layout, given: int | str
) -> None:
    parts = split(file, tmp_path / "parts", "tiny", n_parts=3)
    path = tmp_path / "parts" if isinstance(given, str) else parts[given]
    receipt = bring_in(layout, path)
    assert str(receipt.model.ref) == "tiny:f16"
    assert receipt.notes == ("merged 3 parts",)
    data = file.read_bytes()
    assert receipt.model.weights.read_bytes() == data + bytes(-len(data) % 32)
    assert receipt.model.weights.stat().st_nlink == 1
    assert list(layout.staging.iterdir()) == []
    assert all(part.is_file() for part in parts)


def test_a_split_model_with_a_part_missing_names_it(
    file: Path, tmp_path: Path, layout: Layout
) -> None:
    parts = split(file, tmp_path / "parts", "tiny", n_parts=3)
    parts[1].unlink()
    for path in (parts[0], tmp_path / "parts"):
        with pytest.raises(SourceNotFound, match="tiny-00002-of-00003"):
            bring_in(layout, path)
    assert not layout.root.exists()


def test_a_merged_model_runs_as_the_whole_one(
    file: Path, tmp_path: Path, kit: Kit
) -> None:
    parts = split(file, tmp_path / "parts", "tiny", n_parts=3)
    merged = bring_in(kit.store.layout, parts[0], as_("merged:f16"))
    whole = bring_in(kit.store.layout, file, as_("whole:f16"))
    answers = []
    for stored in (merged.model, whole.model):
        with kit.load(stored) as model:
            answers.append(next(iter(model.session.logits([10, 20, 30]))))
    assert np.array_equal(answers[0], answers[1])


def as_(text: str) -> Any:
    from localkit.store import ModelRef

    return ModelRef.parse(text)


def test_the_projector_beside_is_taken_and_said(file: Path, layout: Layout) -> None:
    projector = write_tiny_projector(file.parent / "mmproj-tiny-f16.gguf")
    receipt = bring_in(layout, file)
    assert receipt.notes == (
        "mmproj-tiny-f16.gguf beside it was taken as its projector",
    )
    (layer,) = receipt.model.manifest.of_type(PROJECTOR_TYPE)
    assert layer.size == projector.stat().st_size
    assert receipt.model.projector is not None
    assert bring_in(layout, file, look_beside=False).model.projector is None


def test_a_projector_of_another_width_is_left_and_said(
    file: Path, layout: Layout
) -> None:
    write_tiny_projector(file.parent / "mmproj-other.gguf", n_embd=128)
    receipt = bring_in(layout, file)
    assert receipt.model.projector is None
    (note,) = receipt.notes
    assert "left out" in note
    assert "width 128" in note


def test_of_several_fitting_projectors_none_is_taken_in_silence(
    file: Path, layout: Layout
) -> None:
    for name in ("mmproj-f16.gguf", "mmproj-f32.gguf"):
        write_tiny_projector(file.parent / name)
    receipt = bring_in(layout, file)
    assert receipt.model.projector is None
    assert "--projector" in receipt.notes[0]
    chosen = file.parent / "mmproj-f32.gguf"
    assert bring_in(layout, file, projector=chosen).model.projector is not None


def test_a_projector_that_does_not_fit_is_refused_when_named(
    file: Path, tmp_path: Path, layout: Layout
) -> None:
    wrong = write_tiny_projector(tmp_path / "wrong.gguf", n_embd=128)
    with pytest.raises(GGUFError, match="width 128"):
        bring_in(layout, file, projector=wrong)
    with pytest.raises(GGUFError, match="not a projector"):
        bring_in(layout, file, projector=file)
    assert not layout.root.exists()


def test_an_adapter_makes_a_model_that_shares_the_weights(
    file: Path, tmp_path: Path, kit: Kit
) -> None:
    base = bring_in(kit.store.layout, file).model
    adapter = write_lora(tmp_path / "tales.gguf")
    receipt = bring_in_adapter(kit.store.layout, adapter, base)
    assert str(receipt.model.ref) == "tiny-tales:f16"
    assert receipt.model.weights == base.weights
    (layer,) = receipt.model.manifest.of_type(ADAPTER_TYPE)
    assert layer.size == adapter.stat().st_size
    assert receipt.model.manifest.of_type(MODEL_TYPE)[0].digest == base.weights_digest
    assert usage(kit.store.layout).shared >= base.weights.stat().st_size
    (stored,) = receipt.model.adapters
    with kit.load(base) as model:
        plain, changed = (
            model.session.score([10, 20], [[30]], serve=ServeParams(adapters=adapters))
            for adapters in ((), (Adapter(stored),))
        )
    assert abs(plain[0].logprobs[0] - changed[0].logprobs[0]) > 0.001


def test_an_adapter_alone_says_what_it_needs(tmp_path: Path, layout: Layout) -> None:
    adapter = write_lora(tmp_path / "tales.gguf")
    with pytest.raises(GGUFError, match="LoRA adapter") as caught:
        bring_in(layout, adapter)
    assert "--adapter-of" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_embd": 128}, "in shapes"),
        ({"n_layers": 3}, r"blk\.2\.attn_q\.weight, which"),
        ({"keys": {"general.architecture": "qwen2"}}, "adapter for 'qwen2'"),
    ],
)
def test_an_adapter_of_another_model_is_refused(
    file: Path, tmp_path: Path, layout: Layout, options: dict[str, Any], said: str
) -> None:
    base = bring_in(layout, file).model
    adapter = write_lora(tmp_path / "tales.gguf", **options)
    with pytest.raises(AdapterInvalid, match=said):
        bring_in_adapter(layout, adapter, base)
    with pytest.raises(AdapterInvalid, match="is a model"):
        bring_in_adapter(layout, file, base)


def test_a_projector_alone_says_what_it_needs(tmp_path: Path, layout: Layout) -> None:
    projector = write_tiny_projector(tmp_path / "mmproj.gguf")
    with pytest.raises(GGUFError, match="is a projector"):
        bring_in(layout, projector)
    with pytest.raises(SourceNotFound, match=r"only mmproj\.gguf \(projector\)"):
        bring_in(layout, tmp_path)


def test_a_folder_of_several_models_lists_them(tmp_path: Path, layout: Layout) -> None:
    for index in range(3):
        write_tiny_llama(tmp_path / f"model{index}.gguf", seed=index)
    with pytest.raises(SourceNotFound, match=r"3 models: model0\.gguf \(F16\); model1"):
        bring_in(layout, tmp_path)
    assert not layout.root.exists()


def test_all_of_a_folder_come_in_and_what_is_broken_is_said(
    tmp_path: Path, layout: Layout
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for index in range(2):
        write_tiny_llama(folder / f"model{index}.gguf", seed=index)
    split(write_tiny_llama(tmp_path / "w.gguf", seed=9), folder, "split", n_parts=2)
    write_lora(folder / "tales.gguf")
    receipts = bring_in_all(layout, folder)
    refs = [
        str(one) if isinstance(one, LocalkitError) else str(one.model.ref)
        for one in receipts
    ]
    assert refs == ["model0:f16", "model1:f16", "split:f16"]


def test_a_folder_of_nothing_says_where_else_to_look(
    tmp_path: Path, layout: Layout
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceNotFound, match="no GGUF and no safetensors") as caught:
        bring_in(layout, tmp_path / "empty")
    assert "scan" in caught.value.hint


def test_a_folder_whose_only_gguf_is_broken_says_why(
    tmp_path: Path, layout: Layout
) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + os.urandom(100))
    with pytest.raises(SourceNotFound, match=r"broken\.gguf"):
        bring_in(layout, tmp_path)
