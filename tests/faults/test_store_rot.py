"""S5: every damaged blob is found, and its repair touches nothing else."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from localkit.errors import BlobCorrupt, LocalkitError
from localkit.store import Recipe, Store
from localkit.store.ref import ModelRef
from localkit.store.registry.client import Registry
from localkit.store.registry.pull import pull
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.registry import LICENCE_TYPE, MODEL_TYPE, HostileRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.faults

_N_FLIPS = 50


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store of two models that share their weights; nothing is linked."""
    store = Store(tmp_path / "models")
    with store.staging() as staged:
        write_tiny_llama(staged, seed=1)
        base = store.adopt(staged, "tiny:a").model
    recipe = Recipe(
        weights=base,
        template="{{ .System }}{{ .Prompt }}",
        system="Be brief, but not too brief.",
        params={"temperature": 0.5, "stop": ["<|im_end|>"]},
    )
    store.create("tiny:brief", recipe)
    return store


def _spoil(path: Path, damage: Callable[[bytearray], bytes], *, dated: bool) -> bytes:
    """Damage a file in place; return what it held."""
    before, stat = path.read_bytes(), path.stat()
    path.chmod(0o644)
    path.write_bytes(damage(bytearray(before)))
    if not dated:  # as a rotting disk does it
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return before


def _flip(offset: int, bit: int) -> Callable[[bytearray], bytes]:
    def damage(data: bytearray) -> bytes:
        data[offset] ^= 1 << bit
        return bytes(data)

    return damage


DAMAGES: dict[str, Callable[[bytearray], bytes]] = {
    "truncated": lambda data: bytes(data[: len(data) // 2]),
    "one byte short": lambda data: bytes(data[:-1]),
    "one byte long": lambda data: bytes(data) + b"\0",
    "zero-filled": lambda data: bytes(len(data)),
    "its last page zero": lambda data: (
        bytes(data[: -min(4096, len(data))]) + bytes(min(4096, len(data)))
    ),
    "empty": lambda _: b"",
}


def _bad(store: Store) -> list[str]:
    return [check.path.name for check in store.verify() if not check.ok]


def test_S5_a_flipped_bit_in_any_blob_is_found_and_no_other_accused(
    store: Store,
) -> None:
    blobs = [path for _, path in store.layout.all_blobs()]
    assert len(blobs) == 7  # weights, licence, template, system, params, two configs
    chance, n_found = random.Random(50), 0
    for _ in range(_N_FLIPS):
        path = chance.choice(blobs)
        offset, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
        before = _spoil(path, _flip(offset, bit), dated=False)
        n_found += _bad(store) == [path.name]
        path.write_bytes(before)
    assert n_found == _N_FLIPS
    assert _bad(store) == []


@pytest.mark.parametrize("dated", [True, False], ids=["dated", "silent"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_S5_a_blob_that_lost_bytes_is_found_and_not_loaded(
    store: Store, damage: Callable[[bytearray], bytes], dated: bool
) -> None:
    weights = store.resolve("tiny:a").weights
    others = {p: p.read_bytes() for _, p in store.layout.all_blobs() if p != weights}
    _spoil(weights, damage, dated=dated)
    assert _bad(store) == [weights.name]
    (check,) = (check for check in store.verify() if not check.ok)
    assert {str(ref) for ref in check.used_by} == {"tiny:a", "tiny:brief"}
    for name in ("tiny:a", "tiny:brief"):
        with pytest.raises(LocalkitError):
            store.resolve(name)
    assert {p: p.read_bytes() for p in others} == others


@pytest.mark.parametrize("kind", ["template", "system", "params", "license"])
def test_S5_a_flipped_bit_in_a_small_layer_is_never_used(
    store: Store, kind: str
) -> None:
    model = store.resolve("tiny:brief")
    (layer,) = (
        one for one in model.manifest.blobs() if one.media_type.endswith(f".{kind}")
    )
    path = store.layout.blob(layer.digest)
    _spoil(path, _flip(layer.size // 2, 2), dated=False)
    with pytest.raises(BlobCorrupt, match=layer.digest[:19]):
        getattr(store.resolve("tiny:brief"), {"license": "licences"}.get(kind, kind))


def test_S5_pulling_again_repairs_the_damaged_blob_and_only_that(
    tmp_path: Path,
) -> None:
    weights = write_tiny_llama(tmp_path / "w.gguf").read_bytes()
    licence = b"a licence of some length" * 40
    store = Store(tmp_path / "models")
    with HostileRegistry() as registry:
        layers = [(MODEL_TYPE, weights), (LICENCE_TYPE, licence)]
        registry.add_model("library/tiny", "f16", layers)
        ref = ModelRef.parse(f"{registry.host}/library/tiny:f16")
        with Registry(registry.host, find=lambda _: None) as client:
            pull(store.layout, ref, registry=client)
            model = store.resolve(ref)
            (layer,) = model.manifest.of_type(LICENCE_TYPE)
            others = {
                path: (path.stat().st_ino, path.stat().st_mtime_ns)
                for digest, path in store.layout.all_blobs()
                if digest != layer.digest
            }
            _spoil(store.layout.blob(layer.digest), _flip(100, 0), dated=False)
            assert _bad(store) == [store.layout.blob(layer.digest).name]
            sent = registry.blob_bytes_sent
            receipt = pull(store.layout, ref, registry=client)
            assert registry.blob_bytes_sent - sent == len(licence)
    assert (receipt.n_missing, receipt.missing) == (1, len(licence))
    assert _bad(store) == []
    assert {
        path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in others
    } == others


def test_S5_adding_again_repairs_the_weights_for_every_model_that_shares_them(
    store: Store, tmp_path: Path
) -> None:
    weights = store.resolve("tiny:a").weights
    others = {
        path: path.stat().st_ino
        for _, path in store.layout.all_blobs()
        if path != weights
    }
    _spoil(weights, _flip(5000, 1), dated=False)
    assert _bad(store) == [weights.name]
    store.add(write_tiny_llama(tmp_path / "again.gguf", seed=1), "tiny:a")
    assert _bad(store) == []
    assert store.resolve("tiny:brief").weights == weights
    assert {path: path.stat().st_ino for path in others} == others
