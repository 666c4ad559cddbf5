"""Folders of weights that are refused before any converter runs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import ConvertFailed, LocalkitError, SourceNotFound
from localkit.store.importing.bring import bring_in
from localkit.store.importing.weights_folder import (
    check_weights_folder,
    is_weights_folder,
)
from tests.store.importing.hf_folder import write_json, write_llama_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localkit.store.layout import Layout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_llama_folder(tmp_path / "tiny-llama")


@pytest.fixture(autouse=True)
def no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test in which anything is run."""
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("it ran"))


def _only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _link_out(folder: Path) -> None:
    outside = folder.parent / "secret.json"
    (folder / "tokenizer.json").rename(outside)
    (folder / "tokenizer.json").symlink_to(outside)


def _weights_link_out(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "elsewhere")
    (folder / "model.safetensors").symlink_to(folder.parent / "elsewhere")


def _fifo(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")


def _no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _torn_config(folder: Path) -> None:
    (folder / "config.json").write_bytes(b'{"architectures": [')


def _deep_config(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"[" * 200_000)


def _nameless(folder: Path) -> None:
    write_json(folder / "config.json", {"model_type": "llama"})


def _hostile_name(folder: Path) -> None:
    write_json(folder / "config.json", {"architectures": ["x; rm -rf /"]})


def _index_elsewhere(folder: Path) -> None:
    places = {"lm_head.weight": "../../../etc/passwd"}
    write_json(folder / "model.safetensors.index.json", {"weight_map": places})


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    os.truncate(path, path.stat().st_size - 1)


def _not_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x80\x04" + bytes(100))


def _overlapping(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    n_header = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + n_header])
    header["model.norm.weight"]["data_offsets"] = [0, 256]
    text = json.dumps(header).encode()
    rest = data[8 + n_header :]
    path.write_bytes(len(text).to_bytes(8, "little") + text + rest)


def _lora(folder: Path) -> None:
    write_json(folder / "adapter_config.json", {})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_only_a_pickle, r"pytorch_model\.bin, a pickle"),
        (_link_out, r"tokenizer\.json' is a link that leads out"),
        (_weights_link_out, r"model\.safetensors' is a link that leads out"),
        (_fifo, "is a named pipe"),
        (_no_tokenizer, "no tokenizer"),
        (_no_weights, "no weights"),
        (_no_config, r"no config\.json"),
        (_torn_config, "is not JSON"),
        (_deep_config, "nests too deep"),
        (_nameless, "names no architecture"),
        (_hostile_name, "names no architecture"),
        (_index_elsewhere, r"\.\./\.\./\.\./etc/passwd"),
        (_cut, "speaks of"),
        (_not_safetensors, "not a safetensors file"),
        (_overlapping, "overlap"),
        (_lora, "LoRA adapter in safetensors"),
    ],
)
def test_a_hostile_or_broken_folder_is_refused_before_anything_runs(
    folder: Path, layout: Layout, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(folder)
    with pytest.raises((ConvertFailed, SourceNotFound), match=said) as caught:
        bring_in(layout, folder)
    assert caught.value.hint
    assert not layout.root.exists()


def test_a_sound_folder_is_described(folder: Path) -> None:
    found = check_weights_folder(folder)
    assert found.architecture == "LlamaForCausalLM"
    assert found.weights == (folder / "model.safetensors",)
    assert {path.name for path in found.texts} == {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert found.size == (folder / "model.safetensors").stat().st_size
    assert is_weights_folder(folder)
    assert not is_weights_folder(folder.parent)


def test_links_of_hugging_faces_cache_stay_inside(folder: Path, tmp_path: Path) -> None:
    repo = tmp_path / "hub" / "models--tiny--llama"
    snapshot = repo / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir()
    for path in folder.iterdir():
        path.rename(repo / "blobs" / path.name)
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    assert check_weights_folder(snapshot).architecture == "LlamaForCausalLM"
    (snapshot / "tokenizer.json").unlink()
    write_json(tmp_path / "outside", {})
    (snapshot / "tokenizer.json").symlink_to(tmp_path / "outside")
    with pytest.raises(LocalkitError, match="leads out"):
        check_weights_folder(snapshot)
