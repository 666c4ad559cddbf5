"""A model as a plain folder, and back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from localkit.errors import BlobCorrupt, Cancelled, StoreError
from localkit.events import CancelToken
from localkit.store.create import create
from localkit.store.export import export
from localkit.store.layout import Layout
from localkit.store.modelfile.modelfile import parse
from localkit.store.modelfile.resolving import recipe_of
from localkit.store.recipe import Recipe
from localkit.store.ref import ModelRef
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.lora import write_lora
from tests.fixtures.projector import write_tiny_projector

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.stored import StoredModel


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "models")


@pytest.fixture
def stored(layout: Layout, tmp_path: Path) -> StoredModel:
    """Return a model with every kind of layer."""
    files = tmp_path / "files"
    files.mkdir()
    recipe = Recipe(
        write_tiny_llama(files / "w.gguf"),
        projectors=(write_tiny_projector(files / "p.gguf"),),
        adapters=(
            write_lora(files / "a.gguf", seed=1),
            write_lora(files / "b.gguf", seed=2),
        ),
        draft=write_tiny_llama(files / "d.gguf", n_layers=1),
        template='{{ .System }}\n{{ .Prompt }} """ ',
        system='Be "brief".\nAnd kind.',
        params={"temperature": 0.5, "stop": ["<|im_end|>", "x y"], "num_ctx": 256},
        messages=({"role": "user", "content": "Hi"},),
        licences=("Licence A\n" * 3, "Licence B"),
    )
    return create(layout, ModelRef.parse("tiny-tales:v1"), recipe).model


def test_every_part_has_a_readable_name_and_its_bytes(
    stored: StoredModel, tmp_path: Path
) -> None:
    receipt = export(stored, tmp_path / "out")
    names = sorted(path.name for path in receipt.folder.iterdir())
    assert names == [
        "LICENSE-1.txt",
        "LICENSE-2.txt",
        "Modelfile",
        "README.md",
        "mmproj-tiny-tales.gguf",
        "tiny-tales-F16.gguf",
        "tiny-tales-adapter-1.gguf",
        "tiny-tales-adapter-2.gguf",
        "tiny-tales-draft.gguf",
    ]
    readme = (receipt.folder / "README.md").read_text(encoding="utf-8")
    for file in receipt.files:
        data = (receipt.folder / file.name).read_bytes()
        assert f"sha256:{hashlib.sha256(data).hexdigest()}" == file.digest
        assert file.digest in readme
        assert len(data) == file.size
    assert stored.digest in readme
    assert receipt.weights.name == "tiny-tales-F16.gguf"
    licence = (receipt.folder / "LICENSE-1.txt").read_text(encoding="utf-8")
    assert licence.startswith("Licence A")
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_no_bytes_are_copied_where_links_work(
    stored: StoredModel, tmp_path: Path
) -> None:
    receipt = export(stored, tmp_path / "out")
    weights = receipt.files[0]
    if weights.method == "hardlink":
        assert receipt.weights.samefile(stored.weights)
    else:
        assert weights.method in {"reflink", "copy"}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_was_exported_makes_the_same_layers_again(
    stored: StoredModel, layout: Layout, tmp_path: Path, elsewhere: bool
) -> None:
    folder = export(stored, tmp_path / "out").folder
    target = Layout(tmp_path / "other") if elsewhere else layout
    modelfile = parse((folder / "Modelfile").read_bytes())

    def find(_: str) -> StoredModel:
        pytest.fail("a name was looked up in the store")

    with recipe_of(target, modelfile, folder=folder, find=find) as recipe:
        again = create(target, ModelRef.parse("again:v1"), recipe).model
    before, after = (
        {(layer.media_type, layer.digest) for layer in one.manifest.layers or ()}
        for one in (stored, again)
    )
    assert after == before


def test_a_folder_that_holds_something_needs_force(
    stored: StoredModel, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    export(stored, folder)
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / "Modelfile").write_text("old", encoding="utf-8")
    with pytest.raises(StoreError, match="not empty") as caught:
        export(stored, folder)
    assert "--force" in caught.value.hint
    export(stored, folder, force=True)
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert "FROM" in (folder / "Modelfile").read_text(encoding="utf-8")
    with pytest.raises(StoreError, match="not a folder"):
        export(stored, folder / "notes.txt")


def test_S5_a_changed_blob_is_not_exported(stored: StoredModel, tmp_path: Path) -> None:
    weights = stored.weights
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.unlink()
    weights.write_bytes(data)
    with pytest.raises(BlobCorrupt):
        export(stored, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_cancelling_leaves_nothing(stored: StoredModel, tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Cancelled):
        export(stored, tmp_path / "out", cancel=token)
    assert sorted(tmp_path.iterdir()) == before


def test_exporting_changes_nothing_in_the_store(
    stored: StoredModel, layout: Layout, tmp_path: Path
) -> None:
    def bytes_of() -> dict[str, bytes]:
        folders = (layout.root / "blobs", layout.root / "manifests")
        paths = [path for folder in folders for path in folder.rglob("*")]
        return {str(path): path.read_bytes() for path in paths if path.is_file()}

    before, mode = bytes_of(), stored.weights.stat().st_mode
    export(stored, tmp_path / "out")
    assert bytes_of() == before
    assert stored.weights.stat().st_mode == mode
