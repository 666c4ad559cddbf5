"""What other programs keep is found, told, and added by link."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from localkit.config import OtherTools
from localkit.errors import Cancelled
from localkit.events import CancelToken
from localkit.store.importing.bring import bring_in
from localkit.store.layout import Layout
from localkit.store.ref import ModelRef
from localkit.store.scanning import scan as scanning
from localkit.store.scanning.adding import add_seen, name_of
from localkit.store.scanning.places import Place, given_place, known_places
from localkit.store.scanning.scan import scan
from localkit.store.scanning.walk import find_gguf_files
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.lora import write_lora
from tests.fixtures.splitting import split

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "models")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home where five programs keep models."""
    for name in OtherTools.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    home = tmp_path / "home"
    for seed, path in enumerate(
        (
            ".lmstudio/models/org/tiny-GGUF/tiny-F16.gguf",
            ".cache/lm-studio/models/org/old-GGUF/old.gguf",
            ".cache/llama.cpp/org_llama_cpp.gguf",
            ".local/share/nomic.ai/GPT4All/four.gguf",
        )
    ):
        (home / path).parent.mkdir(parents=True)
        write_tiny_llama(home / path, seed=seed)
    hub = home / ".cache" / "huggingface" / "hub" / "models--org--name"
    for revision in ("aaa", "bbb"):
        (hub / "snapshots" / revision).mkdir(parents=True)
    (hub / "blobs").mkdir()
    data = write_tiny_llama(home / "x.gguf", seed=9).read_bytes()
    (home / "x.gguf").unlink()
    name = hashlib.sha256(data).hexdigest()
    (hub / "blobs" / name).write_bytes(data)
    for revision in ("aaa", "bbb"):
        link = hub / "snapshots" / revision / "name-F16.gguf"
        link.symlink_to(f"../../blobs/{name}")
    write_ollama_model(home / ".ollama" / "models", seed=20)
    return home


def write_ollama_model(root: Path, *, seed: int) -> None:
    """Write a model as Ollama does, with layers that we do not make."""
    (root / "blobs").mkdir(parents=True)
    source = write_tiny_llama(root.parent / "w.gguf", seed=seed)
    layers = []
    for kind, content in (
        ("model", source.read_bytes()),
        ("template", b"{{ .Prompt }}"),
        ("system", b"Be kind."),
        ("config", b'{"model_format":"gguf","file_type":"F16"}'),
    ):
        sha256 = hashlib.sha256(content).hexdigest()
        (root / "blobs" / f"sha256-{sha256}").write_bytes(content)
        media_type = f"application/vnd.ollama.image.{kind}"
        size = len(content)
        layers.append(
            {"mediaType": media_type, "digest": f"sha256:{sha256}", "size": size}
        )
    source.unlink()
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / "their" / "tag"
    manifest.parent.mkdir(parents=True)
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    document = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": layers[-1],
        "layers": layers[:-1],
    }
    manifest.write_text(json.dumps(document), encoding="utf-8")


def places_in(home: Path) -> list[Place]:
    # The system's own folders are none of the test's.
    ollama = [home / ".ollama" / "models"]
    return known_places(OtherTools(), ollama=ollama, home=home)


def test_the_caches_of_other_programs_are_found(home: Path, layout: Layout) -> None:
    found = scan(layout, places_in(home))
    seen = {(one.place.program, one.found.path.name) for one in found.sightings}
    blob = next((home / ".ollama" / "models" / "blobs").glob("*"), None)
    assert blob is not None
    assert {name for name in seen if name[0] != "Ollama"} == {
        ("LM Studio", "tiny-F16.gguf"),
        ("LM Studio", "old.gguf"),
        ("llama.cpp", "org_llama_cpp.gguf"),
        ("GPT4All", "four.gguf"),
        ("Hugging Face", "name-F16.gguf"),
    }
    (ollamas,) = [one for one in found.sightings if one.place.program == "Ollama"]
    assert str(ollamas.ref) == "their:tag"
    assert all(one.found.info is not None for one in found.sightings)
    assert {one.stored for one in found.sightings} == {"no"}
    assert not layout.root.exists()


def test_variables_move_the_places(tmp_path: Path) -> None:
    tools = OtherTools(
        llama_cache=tmp_path / "a", hf_hub_cache=tmp_path / "b", xdg_data_home=tmp_path
    )
    folders = {one.folder for one in known_places(tools, ollama=[], home=tmp_path)}
    assert {tmp_path / "a", tmp_path / "b"} < folders
    assert tmp_path / "nomic.ai" / "GPT4All" in folders
    (tmp_path / ".lmstudio-home-pointer").write_text(str(tmp_path / "moved\n"))
    moved = {
        one.folder
        for one in known_places(tools, ollama=[], home=tmp_path)
        if one.program == "LM Studio"
    }
    assert tmp_path / "moved" / "models" in moved


def test_everything_is_added_without_a_copy(home: Path, layout: Layout) -> None:
    found = scan(layout, places_in(home))
    added = list(add_seen(layout, found.to_add))
    assert [one.trouble for one in added] == [None] * 6
    refs = {str(one.receipt.model.ref) for one in added if one.receipt}
    assert refs == {
        "tiny:f16",
        "old:f16",
        "org_llama_cpp:f16",
        "four:f16",
        "hf.co/org/name:F16",
        "their:tag",
    }
    for one in added:
        assert one.receipt is not None
        if one.receipt.method == "hardlink":
            assert one.receipt.model.weights.samefile(one.sighting.found.path)
    again = scan(layout, places_in(home))
    assert {one.stored for one in again.sightings} == {"yes"}
    assert again.to_add == []


def test_a_model_of_ollamas_comes_with_all_its_layers(
    home: Path, layout: Layout
) -> None:
    places = [one for one in places_in(home) if one.program == "Ollama"]
    (added,) = add_seen(layout, scan(layout, places).to_add)
    assert added.receipt is not None
    assert added.receipt.model.template == "{{ .Prompt }}"
    assert added.receipt.model.system == "Be kind."
    assert added.receipt.model.digest == added.sighting.digest


def test_a_damaged_model_of_ollamas_says_so(home: Path, layout: Layout) -> None:
    root = home / ".ollama" / "models"
    largest = max((root / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])
    (seen,) = scan(layout, [given_place(root)]).sightings
    assert seen.found.trouble is not None
    assert "missing or cut" in str(seen.found.trouble)


def test_S5_a_blob_of_ollamas_with_other_bytes_is_not_taken(
    home: Path, layout: Layout
) -> None:
    root = home / ".ollama" / "models"
    largest = max((root / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[-1] ^= 1
    largest.write_bytes(data)
    found = scan(layout, [given_place(root)])
    (added,) = add_seen(layout, found.to_add)
    assert added.receipt is None
    assert "does not hash to its name" in str(added.trouble)
    assert not list(layout.all_manifests())


def test_broken_files_are_listed_with_their_reason(
    tmp_path: Path, layout: Layout
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "html.gguf").write_bytes(b"<!DOCTYPE html>" + bytes(100))
    (folder / "empty.gguf").write_bytes(b"")
    os.mkfifo(folder / "pipe.gguf")
    (folder / "loop.gguf").symlink_to("loop.gguf")
    (folder / "gone.gguf").symlink_to("nowhere")
    write_lora(folder / "lora.gguf")
    parts = split(write_tiny_llama(tmp_path / "w.gguf"), folder, "cut", n_parts=3)
    parts[2].unlink()
    found = scan(layout, [given_place(folder)])
    lines = {one.found.path.name: one for one in found.sightings}
    reasons = {
        name: str(one.found.trouble)
        for name, one in lines.items()
        if one.found.trouble is not None
    }
    assert "web page" in reasons["html.gguf"]
    assert "empty" in reasons["empty.gguf"]
    assert "named pipe" in reasons["pipe.gguf"]
    assert "cannot be read" in reasons["loop.gguf"]
    assert "no file" in reasons["gone.gguf"]
    assert "cut-00003-of-00003" in reasons["cut-00001-of-00003.gguf"]
    assert lines["lora.gguf"].found.kind == "adapter"
    assert len(lines) == 7


def test_a_split_model_is_one_line_and_added_whole(
    tmp_path: Path, layout: Layout
) -> None:
    whole = write_tiny_llama(tmp_path / "w.gguf")
    split(whole, tmp_path / "mine", "tiny", n_parts=3)
    found = scan(layout, [given_place(tmp_path / "mine")])
    (seen,) = found.sightings
    assert len(seen.found.files) == 3
    (added,) = add_seen(layout, found.to_add)
    assert added.receipt is not None
    assert str(added.receipt.model.ref) == "tiny:f16"
    (again,) = scan(layout, [given_place(tmp_path / "mine")]).sightings
    assert again.stored == "likely"


def test_a_copy_elsewhere_is_likely_stored_and_a_changed_one_is_not(
    tmp_path: Path, layout: Layout
) -> None:
    file = write_tiny_llama(tmp_path / "w.gguf")
    bring_in(layout, file)
    folder = tmp_path / "mine"
    folder.mkdir()
    data = bytearray(file.read_bytes())
    (folder / "same.gguf").write_bytes(data)
    data[-1] ^= 1
    (folder / "other.gguf").write_bytes(data)
    found = scan(layout, [given_place(folder)])
    assert {one.found.path.name: one.stored for one in found.sightings} == {
        "same.gguf": "likely",
        "other.gguf": "no",
    }


def test_a_name_that_is_taken_is_not_taken_away(tmp_path: Path, layout: Layout) -> None:
    first = bring_in(layout, write_tiny_llama(tmp_path / "tiny.gguf", seed=1)).model
    folder = tmp_path / "mine"
    folder.mkdir()
    write_tiny_llama(folder / "tiny.gguf", seed=2)
    (added,) = add_seen(layout, scan(layout, [given_place(folder)]).to_add)
    assert "is the name of another model" in str(added.trouble)
    (ref,) = [ref for ref, _ in layout.all_manifests()]
    assert ref == first.ref


def test_names_of_hugging_faces_cache(home: Path, layout: Layout) -> None:
    found = scan(layout, places_in(home))
    (one,) = [one for one in found.sightings if one.place.program == "Hugging Face"]
    assert name_of(one) == ModelRef.parse("hf.co/org/name:F16")


def test_links_are_not_followed_into_folders_and_a_loop_ends(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "up").symlink_to(root)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.gguf").write_bytes(b"")
    (root / "out").symlink_to(outside)
    (root / "a" / "one.gguf").write_bytes(b"GGUF")
    walked = find_gguf_files(root)
    assert walked.files == (root / "a" / "one.gguf",)
    assert walked.cuts == ()


def test_the_walk_is_bounded_and_says_what_it_left_out(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(5):
        deep /= "d"
        deep.mkdir()
        (deep / "f.gguf").write_bytes(b"")
    shallow = find_gguf_files(tmp_path, max_depth=2)
    assert len(shallow.files) == 2
    assert "deeper than 2" in shallow.cuts[0]
    few = find_gguf_files(tmp_path, max_found=3)
    assert len(few.files) == 3
    assert "more than 3" in few.cuts[0]
    assert "more than 4 files" in find_gguf_files(tmp_path, max_entries=4).cuts[0]


def test_weights_are_not_read(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sparse file of 40 GB takes no longer than its header."""
    folder = tmp_path / "mine"
    folder.mkdir()
    data = write_tiny_llama(tmp_path / "w.gguf").read_bytes()
    for index in range(20):
        path = folder / f"model{index}.gguf"
        path.write_bytes(data)
        os.truncate(path, 40 << 30)
    started = time.perf_counter()
    found = scan(layout, [given_place(folder)])
    assert time.perf_counter() - started < 10
    assert len(found.sightings) == 20
    assert found.sightings[0].found.size == 40 << 30


def test_our_own_store_is_not_scanned_as_ollamas(
    tmp_path: Path, layout: Layout
) -> None:
    bring_in(layout, write_tiny_llama(tmp_path / "w.gguf"))
    place = given_place(layout.root)
    assert place.is_ollama
    assert scan(layout, [place]).sightings == ()


def test_a_scan_can_be_cancelled(home: Path, layout: Layout) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        scanning.scan(layout, places_in(home), cancel=token)
