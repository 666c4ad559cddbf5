"""S7 and what a Modelfile's names and paths become; its text made from a model."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localkit.errors import (
    GGUFError,
    ModelfileInvalid,
    ModelNotFound,
    SourceNotFound,
)
from localkit.store import Recipe, Store, StoredModel
from localkit.store.modelfile import emit, parse
from localkit.store.modelfile.resolving import recipe_of
from tests.fixtures.draft import write_poor_draft
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.lora import write_lora
from tests.fixtures.projector import write_tiny_projector

if TYPE_CHECKING:
    from localkit.store.create import CreateReceipt


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def base(store: Store, tmp_path: Path) -> StoredModel:
    return store.add(write_tiny_llama(tmp_path / "base.gguf"), "base:f16").model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def make(store: Store, folder: Path, text: str, name: str = "made") -> CreateReceipt:
    with recipe_of(
        store.layout, parse(text), folder=folder, find=store.resolve
    ) as recipe:
        return store.create(name, recipe)


def test_from_a_stored_model(store: Store, base: StoredModel, folder: Path) -> None:
    made = make(store, folder, "FROM base\nSYSTEM hi").model
    assert (made.weights, made.system) == (base.weights, "hi")
    pinned = make(store, folder, f"FROM base:f16@{base.digest}").model
    assert pinned.weights == base.weights


def test_from_files_beside_the_modelfile(store: Store, folder: Path) -> None:
    write_tiny_llama(folder / "m.gguf")
    write_tiny_projector(folder / "eyes.gguf")
    write_lora(folder / "a.gguf")
    write_poor_draft(folder / "d.gguf")
    text = "FROM ./m.gguf\nFROM eyes.gguf\nADAPTER ./a.gguf\nDRAFT d.gguf\n"
    made = make(store, folder, text)
    assert str(made.model.ref) == "made:f16"
    assert made.model.projector is not None
    assert made.model.draft is not None
    assert len(made.model.adapters) == 1
    as_from = make(store, folder, "FROM ./m.gguf\nFROM ./a.gguf\n", "other").model
    assert as_from.adapters == made.model.adapters


def test_from_a_folder_takes_the_projector_in_it_and_says_so(
    store: Store, folder: Path
) -> None:
    (folder / "llava").mkdir()
    write_tiny_llama(folder / "llava" / "m.gguf")
    write_tiny_projector(folder / "llava" / "mmproj-m.gguf")
    made = make(store, folder, "FROM ./llava")
    assert made.model.projector is not None
    assert any("mmproj-m.gguf" in note for note in made.notes)


def test_a_file_beside_the_modelfile_wins_over_a_stored_name_and_it_says_so(
    store: Store, base: StoredModel, folder: Path
) -> None:
    write_tiny_llama(folder / "base", seed=5)
    made = make(store, folder, "FROM base")
    assert made.model.weights != base.weights
    assert any("file beside the Modelfile" in note for note in made.notes)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("FROM nosuch", ModelNotFound, "nosuch"),
        ("FROM bas", ModelNotFound, "base:f16"),
        ("FROM ./nosuch.gguf", SourceNotFound, "there is no file"),
        ("FROM nosuch.gguf", SourceNotFound, "there is no file"),
        ("FROM a b", SourceNotFound, "neither a file nor the name"),
        ("FROM base\nFROM base:f16", ModelfileInvalid, "second model"),
        ("FROM base\nFROM ./m.gguf", ModelfileInvalid, "second model"),
        ("FROM ./eyes.gguf", ModelfileInvalid, "names no model"),
        ("FROM ./text.gguf", GGUFError, "not a GGUF"),
        ("FROM base\nADAPTER ./nosuch.gguf", SourceNotFound, "there is no file"),
        ("FROM base\nDRAFT nosuch", ModelNotFound, "nosuch"),
        ("FROM ~nosuchuser/x", SourceNotFound, "cannot be a path"),
    ],
)
def test_what_is_not_there_is_said(
    store: Store,
    base: StoredModel,
    folder: Path,
    text: str,
    error: type[Exception],
    says: str,
) -> None:
    write_tiny_llama(folder / "m.gguf")
    write_tiny_projector(folder / "eyes.gguf")
    (folder / "text.gguf").write_text("hello")
    with pytest.raises(error) as caught:
        make(store, folder, text)
    assert says in caught.value.one_line()  # type: ignore[attr-defined]
    assert base.weights.exists()


@pytest.mark.parametrize("command", ["FROM", "FROM base\nADAPTER", "FROM base\nDRAFT"])
@pytest.mark.parametrize("path", ["/dev/zero", "fifo.gguf", "/proc/self/environ"])
def test_S7_devices_and_pipes_are_refused_without_being_read(
    store: Store, base: StoredModel, folder: Path, command: str, path: str
) -> None:
    os.mkfifo(folder / "fifo.gguf")
    started = time.monotonic()
    with pytest.raises((SourceNotFound, GGUFError)):
        make(store, folder, f"{command} {path}")
    assert time.monotonic() - started < 1.0
    assert store.resolve("base").digest == base.digest


def test_S7_a_loop_of_links_is_refused(
    store: Store, base: StoredModel, folder: Path
) -> None:
    (folder / "a.gguf").symlink_to("b.gguf")
    (folder / "b.gguf").symlink_to("a.gguf")
    with pytest.raises(SourceNotFound):
        make(store, folder, "FROM ./a.gguf")
    assert base.weights.exists()


def test_the_modelfile_of_a_model_makes_it_again(
    store: Store, base: StoredModel, tmp_path: Path, folder: Path
) -> None:
    recipe = Recipe(
        base,
        projectors=(write_tiny_projector(tmp_path / "eyes.gguf"),),
        adapters=(write_lora(tmp_path / "a.gguf"),),
        draft=write_poor_draft(tmp_path / "draft.gguf"),
        template="{{ .Prompt }}\n",
        system='Say "Arr"',
        params={"temperature": 0.7, "stop": ["<|x|>", " y "], "seed": 3},
        messages=({"role": "user", "content": "a\nb"},),
        licences=("MIT\n\ntext",),
        requires="0.14.0",
        renderer="r",
        parser="p",
    )
    model = store.create("full", recipe).model
    text = emit(model)
    assert text.startswith(f"# Modelfile of full:latest, {model.digest}\n")
    assert "# FROM full:latest\n" in text
    again = make(store, folder, text).model
    assert {layer.digest for layer in again.manifest.layers or ()} == {
        layer.digest for layer in model.manifest.layers or ()
    }
    assert again.config == model.config
    said = emit(model, sources=["./w.gguf"], adapters=["./a.gguf"], draft="./d.gguf")
    assert parse(said).sources == ("./w.gguf",)
    assert str(Path(store.root)) not in said


def test_a_parameter_that_is_not_known_stays_visible_in_the_modelfile(
    store: Store, base: StoredModel
) -> None:
    import hashlib
    import json

    data = b'{"num_keep":24.0,"brand_new":[1],"temperature":"hot"}\n'
    digest = hashlib.sha256(data).hexdigest()
    (store.root / "blobs" / f"sha256-{digest}").write_bytes(data)
    (path,) = (store.root / "manifests").rglob("f16")
    document = json.loads(path.read_bytes())
    document["layers"].append(
        {
            "mediaType": "application/vnd.ollama.image.params",
            "digest": f"sha256:{digest}",
            "size": len(data),
        }
    )
    path.with_name("new").write_text(json.dumps(document), encoding="utf-8")
    text = emit(store.resolve("base:new"))
    assert "# PARAMETER brand_new [1] is not known here\n" in text
    assert '# PARAMETER temperature "hot" is not known here\n' in text
    assert parse(text).params == {"num_keep": 24}
    assert base.weights.exists()
