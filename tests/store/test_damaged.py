"""S8: torn and hostile manifests; S5: blobs that are not what they were."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from localkit.errors import BlobCorrupt, ManifestInvalid, StoreError
from localkit.store import Store
from tests.fixtures.gguf import write_tiny_llama

_DIGEST = "sha256:" + "a" * 64
_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def _document(**changes: Any) -> bytes:
    layer = {"mediaType": "x", "digest": _DIGEST, "size": 1}
    document = {"schemaVersion": 2, "mediaType": _TYPE, "config": layer, "layers": []}
    return json.dumps({**document, **changes}).encode()


def _layer(**changes: Any) -> dict[str, Any]:
    return {"mediaType": "x", "digest": _DIGEST, "size": 1, **changes}


HOSTILE = {
    "empty": b"",
    "blank": b" \n ",
    "torn": _document()[:-20],
    "zeros": b"\0" * 500,
    "not utf-8": b"\xff\xfe{",
    "ten megabytes": _document(mediaType="x" * (10 << 20)),
    "deep": b"[" * 100_000,
    "deep but closed": _document(
        extra=json.loads("[" * 20 + "]" * 20),
    ),
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "nan": _document()[:-1] + b',"x":NaN}',
    "infinity": _document(config=_layer(size=float("inf"))),
    "duplicate key": _document()[:-1] + b',"layers":[]}',
    "duplicate key inside": _document().replace(b'"size": 1', b'"size": 1, "size": 2'),
    "other schema": _document(schemaVersion=1),
    "schema as text": _document(schemaVersion="2"),
    "other document": _document(mediaType="text/plain"),
    "list of variants": _document(
        mediaType="application/vnd.ollama.manifest.list.v2+json"
    ),
    "layers as text": _document(layers="x"),
    "no config": json.dumps({"schemaVersion": 2, "layers": []}).encode(),
    "size as text": _document(layers=[_layer(size="1")]),
    "size as truth": _document(layers=[_layer(size=True)]),
    "size as fraction": _document(layers=[_layer(size=1.5)]),
    "negative size": _document(layers=[_layer(size=-1)]),
    "huge size": _document(layers=[_layer(size=1 << 63)]),
    "digest traversal": _document(layers=[_layer(digest="sha256:../../../etc/passwd")]),
    "digest newline": _document(layers=[_layer(digest=_DIGEST + "\n")]),
    "digest upper-case": _document(layers=[_layer(digest=_DIGEST.upper())]),
    "digest number": _document(layers=[_layer(digest=1)]),
    "long media type": _document(layers=[_layer(mediaType="x" * 10_000)]),
}


def _manifest_path(store: Store, model: str, tag: str) -> Path:
    return store.root / "manifests" / "registry.ollama.ai" / "library" / model / tag


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "models")
    store.add(write_tiny_llama(tmp_path / "a.gguf", seed=1), "good:a")
    return store


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_S8_a_damaged_manifest_is_listed_with_its_repair_and_hurts_nobody(
    store: Store, data: bytes
) -> None:
    path = _manifest_path(store, "bad", "b")
    path.parent.mkdir()
    path.write_bytes(data)
    bad, good = store.list()
    assert (str(bad.ref), str(good.ref)) == ("bad:b", "good:a")
    assert good.damaged is None
    assert bad.damaged is not None
    assert "bad:b" in bad.damaged
    assert len(bad.damaged) < 600
    with pytest.raises(ManifestInvalid) as caught:
        store.resolve("bad:b")
    assert caught.value.one_line() == bad.damaged
    assert store.resolve("good:a").info.architecture == "llama"
    assert all(check.ok for check in store.verify("good:a"))
    store.remove("bad:b")
    assert [str(line.ref) for line in store.list()] == ["good:a"]


def test_S8_blobs_of_a_damaged_manifest_are_never_collected(
    store: Store, tmp_path: Path
) -> None:
    torn = _manifest_path(store, "good", "torn")
    torn.write_bytes(_manifest_path(store, "good", "a").read_bytes()[:-40])
    weights = store.resolve("good:a").weights
    receipt = store.remove("good:a")
    assert receipt.freed == 0
    assert receipt.kept > weights.stat().st_size
    assert store.prune(grace_s=0).kept == receipt.kept
    store.add(write_tiny_llama(tmp_path / "b.gguf", seed=2), "other:b")
    store.add(write_tiny_llama(tmp_path / "c.gguf", seed=3), "other:b")
    assert weights.exists()
    store.remove("good:torn")
    store.prune(grace_s=0)
    assert not weights.exists()
    assert store.resolve("other:b").weights.exists()


def test_S8_the_repair_works(store: Store, tmp_path: Path) -> None:
    _manifest_path(store, "good", "a").write_bytes(b"")
    assert store.add(tmp_path / "a.gguf", "good:a").method == "present"
    assert [line.damaged for line in store.list()] == [None]


def test_a_missing_blob_is_said_and_repaired_by_adding_again(
    store: Store, tmp_path: Path
) -> None:
    store.resolve("good:a").weights.unlink()
    (line,) = store.list()
    assert line.damaged is not None
    assert "is missing" in line.damaged
    with pytest.raises(ManifestInvalid, match="is missing"):
        store.resolve("good:a")
    assert [check.ok for check in store.verify("good:a")].count(False) == 1
    store.add(tmp_path / "a.gguf", "good:a")
    assert store.resolve("good:a").weights.exists()


def _spoil(path: Path, offset: int, bit: int) -> None:
    """Flip one bit as a rotting disk does: no new modification time."""
    stat = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.seek(offset)
        (byte,) = stream.read(1)
        stream.seek(offset)
        stream.write(bytes([byte ^ 1 << bit]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_S5_verify_finds_every_flipped_bit(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    path = write_tiny_llama(tmp_path / "a.gguf")
    with store.staging() as staged:
        staged.write_bytes(path.read_bytes())
        weights = store.adopt(staged, "tiny:a").model.weights
    size = weights.stat().st_size
    chance = random.Random(5)
    for _ in range(50):
        offset, bit = chance.randrange(size), chance.randrange(8)
        _spoil(weights, offset, bit)
        bad = [check for check in store.verify() if not check.ok]
        assert [check.path for check in bad] == [weights]
        assert [str(ref) for ref in bad[0].used_by] == ["tiny:a"]
        _spoil(weights, offset, bit)
    assert all(check.ok for check in store.verify())


def test_S5_what_verify_found_is_not_loaded_and_replaced_by_adding_again(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "models")
    path = write_tiny_llama(tmp_path / "a.gguf")
    with store.staging() as staged:
        staged.write_bytes(path.read_bytes())
        weights = store.adopt(staged, "tiny:a").model.weights
    others = {p: p.stat().st_mtime_ns for p in weights.parent.iterdir()}
    del others[weights]
    _spoil(weights, 4000, 3)
    store.verify()
    with pytest.raises(BlobCorrupt) as caught:
        store.resolve("tiny:a")
    assert "tiny:a" in caught.value.hint
    assert store.add(path, "tiny:a").method != "present"
    assert store.resolve("tiny:a").weights.read_bytes() == path.read_bytes()
    assert {p: p.stat().st_mtime_ns for p in others} == others


@pytest.mark.parametrize("change", ["edited", "truncated", "zero-filled", "emptied"])
def test_S5_a_linked_file_that_its_owner_changed_is_noticed_at_once(
    tmp_path: Path, change: str
) -> None:
    store = Store(tmp_path / "models")
    path = write_tiny_llama(tmp_path / "a.gguf")
    if store.add(path, "tiny:a").method != "hardlink":
        pytest.skip("the file system here does not hard-link")
    size = path.stat().st_size
    with path.open("r+b") as stream:
        if change == "edited":
            stream.seek(size // 2)
            stream.write(b"edited")
        elif change == "zero-filled":
            stream.seek(size // 2)
            stream.write(b"\0" * (size - size // 2))
        else:
            stream.truncate(size // 2 if change == "truncated" else 0)
    os.utime(path, (1, 1))
    with pytest.raises(BlobCorrupt):
        store.resolve("tiny:a")


def test_S5_a_new_time_alone_costs_one_hashing(store: Store) -> None:
    weights = store.resolve("good:a").weights
    os.utime(weights, (1, 1))
    reports: list[object] = []
    store.resolve("good:a", on_progress=reports.append)
    assert reports
    reports.clear()
    store.resolve("good:a", on_progress=reports.append)
    assert not reports


@pytest.mark.parametrize("text", ["", "{", '{"size":1}', '{"size":"x"}', "\0"])
def test_a_damaged_record_costs_one_hashing(store: Store, text: str) -> None:
    model = store.resolve("good:a")
    (record,) = (store.root / ".localkit" / "records").glob(
        f"{model.weights.name}.json"
    )
    record.write_text(text, encoding="utf-8")
    assert store.resolve("good:a") == model


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_S11_a_store_that_may_only_be_read_is_read(tmp_path: Path) -> None:
    code = (
        "import os, sys, filelock\n"
        "from pathlib import Path\n"
        "from localkit.store import Store\n"
        "from localkit.errors import StoreError\n"
        "os.setuid(65534)  # the interpreter itself may be closed to this user\n"
        "store = Store(Path(sys.argv[1]))\n"
        "print(store.resolve('good:a').info.architecture)\n"
        "try: store.remove('good:a')\n"
        "except StoreError as error: print(error.one_line())\n"
    )
    # pytest's own folders are closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        store = Store(Path(folder) / "models")
        store.add(write_tiny_llama(tmp_path / "a.gguf"), "good:a")
        done = subprocess.run(
            [sys.executable, "-c", code, str(store.root)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    architecture, refusal = done.stdout.splitlines()
    assert architecture == "llama"
    assert "LOCALKIT_HOME" in refusal


def test_a_store_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"")
    store = Store(tmp_path / "models")
    assert store.list() == []
    with pytest.raises(StoreError, match="cannot be written"):
        store.add(write_tiny_llama(tmp_path / "a.gguf"))
