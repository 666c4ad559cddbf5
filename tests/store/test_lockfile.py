"""What `localkit.lock` says, where it counts, and what it refuses."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from localkit.errors import (
    BlobCorrupt,
    LockDrift,
    ModelNotFound,
    RefError,
    StoreError,
)
from localkit.store import ModelRef, Store
from localkit.store.lockfile import (
    MAX_SIZE,
    NAME,
    Lock,
    LockedEngine,
    find_lock,
    pin,
    read_lock,
    write_lock,
)
from localkit.store.pins import Pins
from tests.fixtures.gguf import write_tiny_llama

ENGINE = LockedEngine(build="llama-cpp-python 1.2.3 (llama.cpp b1)", features="AVX")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_tiny_llama(tmp_path / f"{i}.gguf", seed=i) for i in range(3)]


@pytest.fixture
def store(tmp_path: Path, files: list[Path]) -> Store:
    store = Store(tmp_path / "models")
    store.add(files[0], "tiny:a")
    store.add(files[1], "other:b")
    return store


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def pins(store: Store, project: Path) -> Pins:
    assert project == Path.cwd()
    return Pins(store.layout)


def _refs(*texts: str) -> list[ModelRef]:
    return [ModelRef.parse(text) for text in texts]


def test_L1_a_lock_file_names_manifest_blobs_and_engine_and_nothing_of_the_machine(
    pins: Pins, store: Store, project: Path
) -> None:
    pins.write([], ENGINE)
    text = (project / NAME).read_text(encoding="utf-8")
    document = tomllib.loads(text)
    assert document["version"] == 1
    assert document["engine"] == ENGINE.model_dump()
    assert [model["ref"] for model in document["model"]] == ["other:b", "tiny:a"]
    for model in document["model"]:
        stored = store.resolve(model["ref"])
        assert model["digest"] == stored.digest
        assert model["blobs"] == [
            {"digest": one.digest, "size": one.size, "media_type": one.media_type}
            for one in stored.manifest.blobs()
        ]
    for path in (project, store.root, Path.home()):
        assert str(path) not in text


def test_the_same_pins_are_the_same_bytes_whatever_the_order(
    pins: Pins, project: Path
) -> None:
    pins.write(_refs("tiny:a", "other:b"), ENGINE)
    first = (project / NAME).read_bytes()
    (project / NAME).unlink()
    pins.write(_refs("other:b"), ENGINE)
    pins.write(_refs("tiny:a"), ENGINE)
    assert (project / NAME).read_bytes() == first
    before = (project / NAME).stat().st_mtime_ns
    assert not pins.write([], ENGINE).changed
    assert (project / NAME).stat().st_mtime_ns == before


def test_a_change_of_one_model_is_a_change_of_its_block_alone(
    pins: Pins, store: Store, project: Path, files: list[Path]
) -> None:
    pins.write([], ENGINE)
    before = (project / NAME).read_text(encoding="utf-8").splitlines()
    store.add(files[2], "tiny:a")
    pins.write([], ENGINE, update=True)
    after = (project / NAME).read_text(encoding="utf-8").splitlines()
    changed = [
        at
        for at, pair in enumerate(zip(before, after, strict=True))
        if len(set(pair)) > 1
    ]
    block = before.index('ref = "tiny:a"')
    assert changed
    assert all(at > block for at in changed)


def test_what_was_written_is_read_back(tmp_path: Path, store: Store) -> None:
    lock = Lock(
        strict=True,
        engine=LockedEngine(build='a "b" \\ ü \x7f\n', features=""),
        model=tuple(pin(store.resolve(ref)) for ref in ("other:b", "tiny:a")),
    )
    write_lock(tmp_path / NAME, lock)
    assert read_lock(tmp_path / NAME) == lock


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "engine"),
        ("version = 2\n", "newer localkit"),
        ("version = 'x'\n[engine]\nbuild=''\nfeatures=''\n", "version"),
        ("<<<<<<< HEAD\n", "damaged"),
        ("\0", "damaged"),
        ("[engine]\nbuild=''\nfeatures=''\nmore=1\n", "more"),
        (
            "[engine]\nbuild=''\nfeatures=''\n[[model]]\nref='../x:y'\n"
            "digest='sha256:0'\nblobs=[]\n",
            "ref",
        ),
        ("#" * (MAX_SIZE + 1), "larger than"),
        (f"x = {'[' * 5000}", "damaged"),
    ],
    ids=["empty", "newer", "version", "conflict", "nul", "more", "ref", "huge", "deep"],
)
def test_a_damaged_lock_file_is_refused_with_its_repair(
    project: Path, pins: Pins, store: Store, text: str, reason: str
) -> None:
    (project / NAME).write_text(text, encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        pins.hold(store.resolve("tiny:a"))
    assert reason in str(caught.value)
    assert "version control" in caught.value.hint
    assert len(caught.value.one_line()) < 1000


def test_a_ref_that_is_pinned_twice_is_refused(pins: Pins, project: Path) -> None:
    pins.write(_refs("tiny:a"), ENGINE)
    text = (project / NAME).read_text(encoding="utf-8")
    block = text[text.index("[[model]]") :].replace("tiny:a", "TINY:A")
    (project / NAME).write_text(text + block, encoding="utf-8")
    with pytest.raises(StoreError, match="twice"):
        read_lock(project / NAME)


def test_a_pipe_in_the_place_of_a_lock_file_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    assert find_lock(tmp_path) != tmp_path / NAME
    with pytest.raises(StoreError, match="named pipe"):
        read_lock(tmp_path / NAME)


def test_the_nearest_lock_file_upwards_counts(
    project: Path, pins: Pins, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = project / "a" / "b"
    deep.mkdir(parents=True)
    pins.write(_refs("tiny:a"), ENGINE)
    monkeypatch.chdir(deep)
    assert pins.path == project / NAME
    (project / "a" / NAME).write_bytes((project / NAME).read_bytes())
    assert pins.path == project / "a" / NAME


def test_above_the_home_folder_no_lock_file_is_looked_for(
    project: Path, pins: Pins, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins.write(_refs("tiny:a"), ENGINE)
    home = project / "home"
    (home / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "work")
    assert pins.path is None


def test_a_current_folder_that_is_gone_has_no_lock_file(
    pins: Pins, project: Path
) -> None:
    project.rmdir()
    assert pins.path is None
    assert pins.lock is None


def test_what_is_pinned_and_as_it_was_passes(pins: Pins, store: Store) -> None:
    pins.write([], ENGINE)
    pins.hold(store.resolve("tiny:a"))
    pins.hold(store.resolve("other"))
    assert [one.drift for one in pins.check()] == [None, None]


def test_another_model_under_a_pinned_ref_is_refused_with_both_digests(
    pins: Pins, store: Store, files: list[Path]
) -> None:
    pinned = store.resolve("tiny:a").digest
    pins.write(_refs("tiny:a"), ENGINE)
    store.add(files[2], "TINY:A")
    now = store.resolve("tiny:a")
    with pytest.raises(LockDrift) as caught:
        pins.hold(now)
    error = caught.value
    assert (error.expected, error.found) == (pinned, now.digest)
    assert f"expected {pinned}, found {now.digest}" in str(error)
    assert "`localkit lock --update tiny:a`" in error.hint
    assert f"`localkit pull tiny:a@{pinned}`" in error.hint
    with pytest.raises(LockDrift):
        pins.write(_refs("tiny:a"), ENGINE)
    with pytest.raises(LockDrift):
        pins.write([], ENGINE)
    receipt = pins.write(_refs("tiny:a"), ENGINE, update=True)
    assert [receipt.state(model) for model in receipt.lock.model] == ["changed"]
    pins.hold(now)


@pytest.mark.parametrize("kind", ["license", "model"])
def test_bytes_that_changed_under_a_pinned_model_are_refused_with_both_digests(
    pins: Pins, store: Store, kind: str
) -> None:
    stored = store.resolve("tiny:a")
    pins.write(_refs("tiny:a"), ENGINE)
    (layer,) = (
        one for one in stored.manifest.blobs() if one.media_type.endswith(f".{kind}")
    )
    path = store.layout.blob(layer.digest)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    path.write_bytes(data)
    os.utime(path, (1, 1))
    with pytest.raises(BlobCorrupt) as caught:
        pins.hold(stored)
    assert layer.digest in str(caught.value)
    assert caught.value.found not in (None, layer.digest)
    assert str(caught.value.found) in str(caught.value)


def test_a_flipped_bit_that_kept_its_date_is_found_by_check(
    pins: Pins, store: Store
) -> None:
    stored = store.resolve("tiny:a")
    pins.write([], ENGINE)
    stat = stored.weights.stat()
    stored.weights.chmod(0o644)
    with stored.weights.open("r+b") as stream:
        stream.seek(5000)
        stream.write(b"\xff\x00\xff")
    os.utime(stored.weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (other, tiny) = pins.check()
    assert other.drift is None
    assert isinstance(tiny.drift, BlobCorrupt)
    assert stored.weights_digest in str(tiny.drift)
    assert str(tiny.drift.found) in str(tiny.drift)
    with pytest.raises(BlobCorrupt):
        store.resolve("tiny:a")


def test_a_pinned_model_that_is_gone_says_how_to_get_it(
    pins: Pins, store: Store
) -> None:
    pinned = store.resolve("tiny:a").digest
    pins.write(_refs("tiny:a"), ENGINE)
    store.remove("tiny:a")
    (one,) = pins.check()
    assert isinstance(one.drift, LockDrift)
    assert f"localkit pull tiny:a@{pinned}" in one.drift.hint
    with pytest.raises(LockDrift, match="not in the store"):
        pins.write([], ENGINE, update=True)
    assert pinned in pins.repair(ModelRef.parse("tiny:a"))
    assert pins.repair(ModelRef.parse("tiny:b")) == ""


def test_what_is_not_pinned_passes_with_one_word(
    pins: Pins, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    pins.write(_refs("tiny:a"), ENGINE)
    for _ in range(3):
        pins.hold(store.resolve("other:b"))
    (said,) = caplog.messages
    assert "'other:b' is not pinned" in said
    assert "localkit lock other:b" in said


def test_a_strict_lock_file_refuses_what_is_not_pinned(
    pins: Pins, store: Store, project: Path
) -> None:
    pins.write(_refs("tiny:a"), ENGINE, strict=True)
    pins.hold(store.resolve("tiny:a"))
    with pytest.raises(LockDrift, match="is strict") as caught:
        pins.hold(store.resolve("other:b"))
    assert caught.value.hint == "`localkit lock other:b` pins it"
    pins.write(_refs("other:b"), ENGINE)
    pins.hold(store.resolve("other:b"))
    assert "strict = true" in (project / NAME).read_text(encoding="utf-8")
    pins.write([], ENGINE, strict=False)
    assert "strict" not in (project / NAME).read_text(encoding="utf-8")


def test_without_a_tag_the_pinned_one_is_meant(
    pins: Pins, store: Store, files: list[Path]
) -> None:
    pins.write(_refs("tiny:a"), ENGINE)
    store.add(files[2], "tiny:latest")
    assert str(pins.meant(ModelRef.parse("TINY"))) == "tiny:a"
    digest = "sha256:" + "0" * 64
    assert str(pins.meant(ModelRef.parse(f"tiny@{digest}"))) == f"tiny:a@{digest}"
    assert str(pins.meant(ModelRef.parse("tiny:latest"))) == "tiny:latest"
    assert str(pins.meant(ModelRef.parse("other"))) == "other"
    pins.write(_refs("tiny:latest"), ENGINE)
    assert str(pins.meant(ModelRef.parse("tiny"))) == "tiny:latest"


def test_damaged_models_are_left_out_of_a_new_lock_file_and_said(
    pins: Pins, store: Store
) -> None:
    store.resolve("other:b").weights.unlink()
    receipt = pins.write([], ENGINE)
    assert [str(model.ref) for model in receipt.lock.model] == ["tiny:a"]
    (reason,) = receipt.left_out
    assert "other:b" in reason
    assert "localkit rm other:b" in reason


def test_the_engine_is_noted_and_renewed_only_with_everything(
    pins: Pins, project: Path
) -> None:
    pins.write([], ENGINE)
    newer = LockedEngine(build="llama-cpp-python 9", features="AVX")
    assert pins.notes(ENGINE.build) == ()
    (note,) = pins.notes(newer.build)
    assert ENGINE.build in note
    assert newer.build in note
    pins.write(_refs("tiny:a"), newer, update=True)
    assert read_lock(project / NAME).engine == ENGINE
    pins.write([], newer, update=True)
    assert read_lock(project / NAME).engine == newer


def test_a_setting_names_the_lock_file_or_switches_it_off(
    store: Store, project: Path, tmp_path: Path, files: list[Path]
) -> None:
    elsewhere = tmp_path / "elsewhere.lock"
    named = Pins(store.layout, str(elsewhere))
    with pytest.raises(StoreError, match=r"elsewhere\.lock"):
        named.hold(store.resolve("tiny:a"))
    named.write(_refs("tiny:a"), ENGINE)
    assert not (project / NAME).exists()
    store.add(files[2], "tiny:a")
    with pytest.raises(LockDrift):
        named.hold(store.resolve("tiny:a"))
    off = Pins(store.layout, "off")
    off.hold(store.resolve("tiny:a"))
    for call in (off.check, lambda: off.write([], ENGINE)):
        with pytest.raises(StoreError, match="LOCALKIT_LOCK is off"):
            call()


def test_without_a_lock_file_nothing_is_held_and_check_says_so(
    pins: Pins, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    pins.hold(store.resolve("tiny:a"))
    assert caplog.messages == []
    with pytest.raises(StoreError, match=r"no localkit\.lock") as caught:
        pins.check()
    assert caught.value.hint == "`localkit lock` writes one"


def test_a_folder_that_may_not_be_written_is_said(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    pins = Pins(store.layout, str(tmp_path / "file" / NAME))
    with pytest.raises(StoreError):
        pins.write([], ENGINE)


def test_a_ref_with_the_wrong_digest_shows_both_and_pins_nothing(
    pins: Pins, store: Store, project: Path
) -> None:
    wrong, right = "sha256:" + "0" * 64, store.resolve("tiny:a").digest
    with pytest.raises(ModelNotFound) as caught:
        pins.write(_refs(f"tiny:a@{wrong}"), ENGINE)
    assert wrong in caught.value.one_line()
    assert right in caught.value.one_line()
    assert not (project / NAME).exists()
    pins.write(_refs(f"tiny:a@{right}"), ENGINE)
    assert str(read_lock(project / NAME).model[0].ref) == "tiny:a"


def test_a_digest_chooses_among_the_tags(store: Store, files: list[Path]) -> None:
    digest = store.add(files[2], "tiny:c").model.digest
    store.add(files[1], "tiny:latest")
    assert str(store.resolve(f"tiny@{digest}").ref) == "tiny:c"
    with pytest.raises(ModelNotFound):
        store.resolve("tiny@sha256:" + "0" * 64)
    with pytest.raises(RefError):
        store.resolve("tiny@sha256:0")
