"""What is kept of headers is what the headers say, or is not used."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import GGUFError
from localkit.gguf import read_info
from localkit.store import Store, headers
from localkit.store.headers import header_info
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "models")
    with store.staging() as staged:
        write_tiny_llama(staged, seed=1)
        store.adopt(staged, "tiny:a")
    return store


@pytest.fixture
def digest(store: Store) -> str:
    return store.resolve("tiny:a").weights_digest


@pytest.fixture
def record(store: Store, digest: str) -> Path:
    """Return the record of the weights' header, which is there."""
    header_info(store.layout, digest)
    path = store.layout.header(digest)
    assert path.is_file()
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list of the headers that are read from now on."""
    seen: list[Path] = []

    def counted(path: Path) -> Any:
        seen.append(path)
        return read_info(path)

    monkeypatch.setattr(headers, "read_info", counted)
    return seen


def test_a_header_is_read_once_and_told_the_same(
    store: Store, digest: str, reads: list[Path]
) -> None:
    first = header_info(store.layout, digest)
    again = header_info(store.layout, digest)
    assert reads == [store.layout.blob(digest)]
    assert first == again == read_info(store.layout.blob(digest))
    assert repr(first) == repr(again)
    assert again.path == store.layout.blob(digest)
    assert again.type_mix[0].type == "f16"


@pytest.mark.model
def test_real_weights_are_told_the_same(smollm2_gguf: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    weights = store.add(smollm2_gguf, "smollm2:q4_1").model
    assert header_info(store.layout, weights.weights_digest) == read_info(
        weights.weights
    )
    assert header_info(store.layout, weights.weights_digest) == read_info(
        weights.weights
    )


DAMAGES: dict[str, Any] = {
    "empty": b"",
    "torn": lambda data: data[: len(data) // 2],
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "not utf-8": b"\xff\xfe",
    "a field too many": lambda data: data.replace(b'"name":', b'"more": 1, "name":'),
    "a field of another kind": lambda data: data.replace(
        b'"n_layers": 2', b'"n_layers": "two"'
    ),
    "a field missing": lambda data: data.replace(b'"n_layers": 2, ', b""),
    "of another version": lambda data: data.replace(b'"look": ["', b'"look": ["9'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_record_is_not_used_and_written_anew(
    store: Store, digest: str, record: Path, reads: list[Path], damage: Any
) -> None:
    good = record.read_bytes()
    bad = damage(good) if callable(damage) else damage
    assert bad != good
    record.write_bytes(bad)
    assert header_info(store.layout, digest) == read_info(store.layout.blob(digest))
    assert len(reads) == 1
    assert record.read_bytes() == good


def test_a_record_counts_only_while_the_blob_looks_the_same(
    store: Store, digest: str, record: Path, reads: list[Path]
) -> None:
    assert record.is_file()
    blob = store.layout.blob(digest)
    os.utime(blob, (1, 1))
    header_info(store.layout, digest)
    assert len(reads) == 1
    blob.unlink()
    blob.write_bytes(b"GGUF but no longer one")
    with pytest.raises(GGUFError):
        header_info(store.layout, digest)


def test_a_record_for_another_field_list_is_not_used(
    store: Store, digest: str, record: Path, reads: list[Path]
) -> None:
    """As a newer localkit would leave it, or an older one."""
    values = json.loads(record.read_bytes())
    names = {
        field.name for field in dataclasses.fields(read_info(store.layout.blob(digest)))
    }
    assert set(values) - {"look"} == names
    del values["fills_gaps"]
    record.write_text(json.dumps(values), encoding="utf-8")
    header_info(store.layout, digest)
    assert len(reads) == 1


def test_S6_a_link_in_the_place_of_a_record_is_replaced_and_not_followed(
    store: Store, digest: str, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"{}")
    record = store.layout.header(digest)
    record.parent.mkdir(exist_ok=True)
    record.unlink(missing_ok=True)
    record.symlink_to(precious)
    header_info(store.layout, digest)
    assert precious.read_bytes() == b"{}"
    assert not record.is_symlink()


def test_a_store_that_nobody_wrote_to_gets_no_records(
    store: Store, digest: str, reads: list[Path]
) -> None:
    shutil.rmtree(store.root / ".localkit")
    for _ in range(2):
        header_info(store.layout, digest)
    assert len(reads) == 2
    assert not (store.root / ".localkit").exists()
