from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from localkit.errors import (
    Cancelled,
    GGUFError,
    ModelNotFound,
    RefError,
    SourceNotFound,
    StoreError,
)
from localkit.events import CancelToken, Progress
from localkit.store import ModelRef, Store
from tests.fixtures.gguf import write_tiny_llama


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_tiny_llama(tmp_path / f"file{i}.gguf", seed=i) for i in range(3)]


def _blobs(store: Store) -> set[str]:
    return {path.name for path in (store.root / "blobs").glob("*")}


def test_looking_at_a_store_that_is_not_there_creates_nothing(store: Store) -> None:
    assert store.list() == []
    assert store.verify() == []
    with pytest.raises(ModelNotFound):
        store.resolve("anything")
    with pytest.raises(ModelNotFound):
        store.remove("anything")
    assert not store.root.exists()


def test_a_path_may_be_text(store: Store, files: list[Path]) -> None:
    model = store.add(str(files[0]), "tiny:a").model
    assert model.weights.read_bytes() == files[0].read_bytes()


def test_round_trip(store: Store, files: list[Path]) -> None:
    data = files[0].read_bytes()
    receipt = store.add(files[0], "tiny:a")
    assert receipt.size == len(data)
    assert receipt.seconds > 0
    model = store.resolve("tiny:a")
    assert model == receipt.model
    assert model.weights.read_bytes() == data
    assert model.weights_digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert model.info.architecture == "llama"
    assert model.info.path == model.weights
    (line,) = store.list()
    assert (str(line.ref), line.digest, line.damaged) == ("tiny:a", model.digest, None)
    assert line.size > len(data)
    assert abs(line.modified.timestamp() - time.time()) < 60
    assert all(check.ok for check in store.verify())
    store.remove("tiny:a")
    assert store.list() == []
    assert _blobs(store) == set()
    assert files[0].read_bytes() == data


def test_the_model_digest_is_that_of_the_manifests_bytes(
    store: Store, files: list[Path]
) -> None:
    model = store.add(files[0], "tiny:a").model
    path = store.root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "a"
    assert model.digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert store.resolve(f"tiny:a@{model.digest}").digest == model.digest
    with pytest.raises(ModelNotFound) as caught:
        store.resolve("tiny:a@sha256:" + "0" * 64)
    assert caught.value.nearest == (f"tiny:a@{model.digest}",)


def test_without_a_copy_where_the_file_system_allows(
    store: Store, files: list[Path]
) -> None:
    receipt = store.add(files[0])
    if receipt.method == "hardlink":
        assert receipt.model.weights.samefile(files[0])
    else:
        assert receipt.method in {"reflink", "copy"}
        assert receipt.model.weights.stat().st_mode & 0o222 == 0


def test_a_hard_linked_file_keeps_its_mode(store: Store, files: list[Path]) -> None:
    files[0].chmod(0o640)
    store.add(files[0])
    assert files[0].stat().st_mode & 0o777 == 0o640


def test_the_same_bytes_again_are_present(store: Store, files: list[Path]) -> None:
    first = store.add(files[0], "tiny:a")
    again = store.add(files[0], "tiny:b")
    assert again.method == "present"
    assert again.model.weights == first.model.weights
    assert again.model.digest == first.model.digest


def test_adding_to_a_ref_replaces_it_and_drops_what_nobody_needs(
    store: Store, files: list[Path]
) -> None:
    store.add(files[0], "tiny:a")
    before = _blobs(store)
    receipt = store.add(files[1], "tiny:a")
    assert [str(line.ref) for line in store.list()] == ["tiny:a"]
    assert store.resolve("tiny:a").weights.read_bytes() == files[1].read_bytes()
    assert receipt.model.weights.name not in before
    assert len(_blobs(store)) == len(before)


def test_shared_layers_outlive_one_of_their_models(
    store: Store, files: list[Path]
) -> None:
    store.add(files[0], "tiny:a")
    store.add(files[0], "other:b")
    assert store.remove("tiny:a").freed == 0
    assert store.resolve("other:b").weights.read_bytes() == files[0].read_bytes()


def test_freed_counts_only_what_the_disk_gets_back(
    store: Store, files: list[Path]
) -> None:
    receipt = store.add(files[0], "tiny:a")
    weights = receipt.model.weights.stat()
    rest = sum(layer.size for layer in receipt.model.manifest.blobs()) - receipt.size
    expected = rest if weights.st_nlink > 1 else rest + receipt.size
    assert store.remove("tiny:a").freed == expected


def test_without_a_tag_the_quant_is_the_tag(store: Store, files: list[Path]) -> None:
    assert str(store.add(files[0], "mine").model.ref) == "mine:f16"
    assert str(store.add(files[1]).model.ref) == "file1:f16"


def test_resolving_without_a_tag(store: Store, files: list[Path]) -> None:
    store.add(files[0], "tiny:a")
    assert str(store.resolve("tiny").ref) == "tiny:a"
    store.add(files[1], "tiny:b")
    with pytest.raises(ModelNotFound) as caught:
        store.resolve("tiny")
    assert caught.value.nearest == ("tiny:a", "tiny:b")
    store.add(files[2], "tiny:latest")
    assert str(store.resolve("tiny").ref) == "tiny:latest"
    assert [tag.tag for tag in store.tags("TINY:whatever")] == ["a", "b", "latest"]


def test_an_unknown_ref_names_the_nearest(store: Store, files: list[Path]) -> None:
    store.add(files[0], "smollm2-135m-instruct:q4_1")
    store.add(files[1], "qwen:q8_0")
    for text in ("smollm2-135m-instruct:q4_k_m", "smolm2-135m-instruct", "smollm2"):
        with pytest.raises(ModelNotFound) as caught:
            store.resolve(text)
        assert caught.value.nearest[0] == "smollm2-135m-instruct:q4_1"
    with pytest.raises(ModelNotFound) as caught:
        store.tags("nothing-like-it")
    assert caught.value.nearest == ()


def test_names_match_in_any_case_and_keep_the_stored_one(
    store: Store, files: list[Path]
) -> None:
    store.add(files[0], "Tiny:A")
    assert str(store.resolve("tiny:a").ref) == "Tiny:A"
    assert str(store.add(files[1], "TINY:b").model.ref) == "Tiny:b"
    assert str(store.remove("tINY:a").ref) == "Tiny:A"


def test_a_staged_file_is_moved_in(store: Store, files: list[Path]) -> None:
    data = files[0].read_bytes()
    with store.staging(".gguf") as path:
        assert path.suffix == ".gguf"
        path.write_bytes(data)
        receipt = store.adopt(path, "tiny:made")
        assert not path.exists()
    assert receipt.method == "moved"
    assert receipt.model.weights.read_bytes() == data
    assert receipt.model.weights.stat().st_mode & 0o777 == 0o444
    assert list((store.root / ".localkit" / "staging").iterdir()) == []


def test_what_is_left_in_staging_is_removed(store: Store) -> None:
    with store.staging() as path:
        path.write_bytes(b"half")
    assert list((store.root / ".localkit" / "staging").iterdir()) == []


def test_only_staged_files_are_moved(store: Store, files: list[Path]) -> None:
    with pytest.raises(StoreError, match="staging"):
        store.adopt(files[0], "tiny:a")
    assert files[0].exists()


def test_cancelling_leaves_the_store_as_it_was(store: Store, files: list[Path]) -> None:
    store.add(files[0], "tiny:a")
    before = _blobs(store)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        store.add(files[1], "tiny:a", cancel=token)
    assert _blobs(store) == before
    assert store.resolve("tiny:a").weights.read_bytes() == files[0].read_bytes()
    assert list((store.root / ".localkit" / "staging").iterdir()) == []


def test_progress_is_in_bytes(store: Store, files: list[Path]) -> None:
    reports: list[Progress] = []
    store.add(files[0], on_progress=reports.append)
    size = files[0].stat().st_size
    assert (reports[-1].done, reports[-1].total, reports[-1].unit) == (size, size, "B")


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", GGUFError), (b"PK\3\4" + b"\0" * 99, GGUFError), (None, SourceNotFound)],
)
def test_bad_files_are_refused_before_anything_is_written(
    store: Store, tmp_path: Path, data: bytes | None, error: type[Exception]
) -> None:
    path = tmp_path / "bad.gguf"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(error):
        store.add(path)
    assert not store.root.exists()


def test_a_truncated_file_is_refused(store: Store, files: list[Path]) -> None:
    os.truncate(files[0], files[0].stat().st_size - 1)
    with pytest.raises(GGUFError):
        store.add(files[0])


def test_a_bad_ref_is_refused_before_the_file_is_looked_at(store: Store) -> None:
    with pytest.raises(RefError):
        store.add(Path("nowhere"), "a/b/c/d")


def test_a_file_cannot_be_added_under_a_digest(store: Store, files: list[Path]) -> None:
    with pytest.raises(RefError, match="names a digest") as caught:
        store.add(files[0], "tiny:a@sha256:" + "0" * 64)
    assert caught.value.hint == "add it as tiny:a"
    assert store.list() == []


def test_an_ollama_store_opens_as_it_is(store: Store, files: list[Path]) -> None:
    """Layers that are not ours, no records, upper-case names, no line end."""
    data = files[0].read_bytes()
    layers = {}
    for kind, content in (
        ("model", data),
        ("template", b"{{ .Prompt }}"),
        ("params", b'{"stop":["x"]}'),
        ("license", b"MIT License"),
        ("license", b"Second text"),
        ("config", b'{"model_format":"gguf"}'),
    ):
        sha256 = hashlib.sha256(content).hexdigest()
        path = store.root / "blobs" / f"sha256-{sha256}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        layers[content] = (
            f'{{"mediaType":"application/vnd.ollama.image.{kind}",'
            f'"digest":"sha256:{sha256}","size":{len(content)},"from":"a:b"}}'
        )
    *parts, config = layers.values()
    manifest = store.root / "manifests" / "hf.co" / "Me" / "Model-GGUF" / "Q4_K_M"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(
        '{"schemaVersion":2,'
        '"mediaType":"application/vnd.docker.distribution.manifest.v2+json",'
        f'"config":{config},"layers":[{",".join(parts)}],"runner":"ollama"}}',
        encoding="utf-8",
    )
    before = {p: p.stat().st_mtime_ns for p in store.root.rglob("*")}
    model = store.resolve("hf.co/me/model-gguf")
    assert str(model.ref) == "hf.co/Me/Model-GGUF:Q4_K_M"
    assert model.weights.read_bytes() == data
    assert model.licence == "MIT License\n\nSecond text"
    assert [line.damaged for line in store.list()] == [None]
    assert {p: p.stat().st_mtime_ns for p in store.root.rglob("*")} == before


def test_a_newer_ollamas_linked_manifest_counts_and_keeps_its_blobs(
    store: Store, files: list[Path]
) -> None:
    store.add(files[0], "tiny:a")
    old = store.root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "a"
    data = old.read_bytes()
    blob = store.root / "blobs" / f"sha256-{hashlib.sha256(data).hexdigest()}"
    blob.write_bytes(data)
    link = store.root / "manifests-v2" / old.relative_to(store.root / "manifests")
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    store.add(files[1], "other:b")
    old.unlink()
    store.remove("other:b")
    assert [str(line.ref) for line in store.list()] == ["tiny:a"]
    assert store.resolve("tiny:a").weights.read_bytes() == files[0].read_bytes()
    store.add(files[2], "tiny:a")
    assert store.resolve("tiny:a").weights.read_bytes() == files[2].read_bytes()
    assert not link.is_symlink()
    store.remove("tiny:a")
    assert _blobs(store) == set()


def test_a_model_that_is_not_one_gguf_says_so(store: Store, files: list[Path]) -> None:
    store.add(files[0], "tiny:a")
    path = store.root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "a"
    text = path.read_text(encoding="utf-8").replace("image.model", "image.tensor")
    path.write_text(text, encoding="utf-8")
    assert [line.damaged for line in store.list()] == [None]
    with pytest.raises(StoreError, match="has 0 GGUF files"):
        store.resolve("tiny:a")


def test_a_model_without_a_name_of_its_own_is_called_after_its_ref(
    store: Store, tmp_path: Path
) -> None:
    path = write_tiny_llama(tmp_path / "x.gguf", metadata={"general.name": ""})
    info = store.add(path, "tiny:a").model.info
    assert "sha256" not in info.name


def test_L1_nothing_in_the_store_tells_where_a_file_came_from(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "canary-7f3a"
    folder.mkdir()
    store.add(write_tiny_llama(folder / "canary-7f3a.gguf"), "tiny:a")
    for path in store.root.rglob("*"):
        assert b"canary-7f3a" not in bytes(path)
        if path.is_file():
            assert b"canary-7f3a" not in path.read_bytes()


def test_500_models_are_listed_in_a_tenth_of_a_second(
    store: Store, files: list[Path]
) -> None:
    store.add(files[0], "tiny:a")
    folder = store.root / "manifests" / "registry.ollama.ai" / "library"
    data = (folder / "tiny" / "a").read_bytes()
    for i in range(499):
        (folder / f"model{i}").mkdir()
        (folder / f"model{i}" / "a").write_bytes(data)
    best = min(_seconds_to_list(store) for _ in range(7))
    assert best < 0.1, f"{best:.3f} s"


def _seconds_to_list(store: Store) -> float:
    started = time.process_time()
    assert len(store.list()) == 500
    return time.process_time() - started


def test_prune_drops_what_nobody_names_once_it_is_old_enough(
    store: Store, files: list[Path]
) -> None:
    store.add(files[0], "tiny:a")
    named = _blobs(store)
    orphan = store.root / "blobs" / f"sha256-{hashlib.sha256(b'x').hexdigest()}"
    orphan.write_bytes(b"x")
    assert store.prune().freed == 0
    assert orphan.exists()
    assert store.prune(grace_s=0).freed == 1
    assert _blobs(store) == named


def test_refs_may_be_given_as_values(store: Store, files: list[Path]) -> None:
    ref = ModelRef(model="tiny", tag="a")
    assert store.add(files[0], ref).model.ref == ref
    assert store.resolve(ref).ref == ref
    assert store.remove(ref).ref == ref
