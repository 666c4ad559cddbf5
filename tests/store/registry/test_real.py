"""Against docker's own registry, started by the tests."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from localkit.errors import RegistryError
from localkit.store import Store
from localkit.store.layout import Layout
from localkit.store.ref import ModelRef
from localkit.store.registry.client import Registry
from localkit.store.registry.credentials import Credential
from localkit.store.registry.pull import pull
from localkit.store.registry.push import PushReceipt, push
from tests.fixtures.docker_registry import docker_registry, manifest_on_disk
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.registry import digest_of
from tests.store.registry.conftest import FAST

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.registry.pull import PullReceipt
    from tests.fixtures.docker_registry import DockerRegistry

# The user "tester" with the password below, hashed for htpasswd.
PASSWORD = "canary-password-7f3a"
HTPASSWD = "tester:$2b$05$abcdefghijklmnopqrstuu6cbYMfa6EN8.blYjs65ner4vgNdR21q"


@pytest.fixture
def store(tmp_path: Path, tiny_gguf: Path) -> Store:
    store = Store(tmp_path / "mine")
    store.add(tiny_gguf, "tiny:f16")
    return store


@pytest.fixture
def other(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "other")


def sent(store: Store, ref: str, target: str) -> PushReceipt:
    return push(store.layout, ModelRef.parse(ref), ModelRef.parse(target))


def fetched(layout: Layout, ref: str) -> PullReceipt:
    return pull(layout, ModelRef.parse(ref))


def test_a_model_goes_there_and_comes_back_the_same(
    real: DockerRegistry, store: Store, other: Layout
) -> None:
    there = sent(store, "tiny:f16", f"{real.host}/roundtrip/tiny:f16")
    back = fetched(other, f"{real.host}/roundtrip/tiny:f16")
    mine = store.resolve("tiny:f16")
    assert there.digest == back.model.digest == mine.digest
    assert back.model.weights.read_bytes() == mine.weights.read_bytes()
    assert {digest for digest, _ in other.all_blobs()} == {
        layer.digest for layer in mine.manifest.blobs()
    }


def test_the_registry_has_the_manifest_as_it_is_here(
    real: DockerRegistry, store: Store
) -> None:
    there = sent(store, "tiny:f16", f"{real.host}/verbatim/tiny:f16")
    entry = store.resolve("tiny:f16")
    assert manifest_on_disk(real, there.digest) == json.loads(entry.manifest.encode())


def test_a_model_is_pulled_by_digest(
    real: DockerRegistry, store: Store, other: Layout
) -> None:
    there = sent(store, "tiny:f16", f"{real.host}/pinned/tiny:f16")
    back = fetched(other, f"{real.host}/pinned/tiny@{there.digest}")
    assert back.model.digest == there.digest
    assert back.model.ref.tag == there.digest[7:19]


def test_shared_layers_travel_once(real: DockerRegistry, store: Store) -> None:
    sent(store, "tiny:f16", f"{real.host}/dedup/tiny:f16")
    # Another model of the same weights: all but the licence is there.
    entry = store.resolve("tiny:f16")
    licence = b"A licence of its own"
    layer = entry.manifest.config.model_copy(
        update={
            "media_type": "application/vnd.ollama.image.license",
            "digest": digest_of(licence),
            "size": len(licence),
        }
    )
    store.layout.blob(layer.digest).write_bytes(licence)
    variant = entry.manifest.model_copy(
        update={"layers": (*(entry.manifest.layers or ()), layer)}
    )
    store.layout.manifest(ModelRef.parse("tiny:licensed")).write_bytes(variant.encode())
    before = len(real.uploads())
    same_name = sent(store, "tiny:licensed", f"{real.host}/dedup/tiny:licensed")
    assert (same_name.n_missing, same_name.sent) == (1, len(licence))
    assert real.uploads()[before:] == ["POST", "PATCH", "PUT"]


def test_another_repository_takes_shared_layers_over_without_their_bytes(
    real: DockerRegistry, store: Store, other: Layout
) -> None:
    sent(store, "tiny:f16", f"{real.host}/mount-from/tiny:f16")
    # A store knows what it pulled from where, so it can name the source.
    fetched(other, f"{real.host}/mount-from/tiny:f16")
    before = len(real.uploads())
    receipt = push(
        other,
        ModelRef.parse(f"{real.host}/mount-from/tiny:f16"),
        ModelRef.parse(f"{real.host}/mount-to/tiny:f16"),
    )
    assert (receipt.n_missing, receipt.n_mounted, receipt.sent) == (3, 3, 0)
    assert real.uploads()[before:] == ["POST"] * 3


def test_a_second_pull_moves_nothing(
    real: DockerRegistry, store: Store, other: Layout
) -> None:
    sent(store, "tiny:f16", f"{real.host}/again/tiny:f16")
    fetched(other, f"{real.host}/again/tiny:f16")
    assert fetched(other, f"{real.host}/again/tiny:f16").up_to_date


def test_a_tag_can_be_moved_to_other_weights(
    real: DockerRegistry, store: Store, other: Layout, tmp_path: Path
) -> None:
    name = f"{real.host}/moving/tiny:f16"
    sent(store, "tiny:f16", name)
    fetched(other, name)
    store.add(write_tiny_llama(tmp_path / "tiny2.gguf", seed=2), "second:f16")
    sent(store, "second:f16", name)
    back = fetched(other, name)
    assert back.model.digest == store.resolve("second:f16").digest
    # What only the first one used is gone.
    assert store.resolve("tiny:f16").weights_digest not in dict(other.all_blobs())


def test_the_registry_lists_its_tags(real: DockerRegistry, store: Store) -> None:
    for tag in ("b", "a"):
        sent(store, "tiny:f16", f"{real.host}/listed/tiny:{tag}")
    with Registry(real.host) as registry:
        assert registry.tags("listed/tiny") == ["a", "b"]


def test_a_large_blob_goes_in_pieces(
    real: DockerRegistry, store: Store, other: Layout
) -> None:
    name = ModelRef.parse(f"{real.host}/pieces/tiny:f16")
    before = len(real.uploads())
    push(store.layout, ModelRef.parse("tiny:f16"), name, chunk_size=30_000)
    assert real.uploads()[before:].count("PATCH") >= 5
    assert pull(other, name).n_missing == 3


def test_a_registry_with_a_password_lets_in_who_has_it(
    tmp_path: Path, store: Store
) -> None:
    known = Credential("password", "tester", SecretStr(PASSWORD), "the test")
    wrong = dataclasses.replace(known, secret=SecretStr("wrong"))
    with docker_registry(tmp_path / "registry", htpasswd=HTPASSWD) as registry:
        ref = ModelRef.parse("tiny:f16")
        target = ModelRef.parse(f"{registry.host}/private/tiny:f16")
        for stranger in (None, wrong):
            find = {registry.host: stranger}.get
            with (
                Registry(registry.host, find=find, pace=FAST) as client,
                pytest.raises(RegistryError) as caught,
            ):
                push(store.layout, ref, target, registry=client)
            assert caught.value.status == 401
        with Registry(registry.host, find=lambda _: known) as client:
            push(store.layout, ref, target, registry=client)
            back = pull(Layout(tmp_path / "back"), target, registry=client)
        assert back.model.digest == store.resolve("tiny:f16").digest


# Pushes the model of argv[1:] and says after every report how far it is.
KILLED = """
import sys
from pathlib import Path
from localkit.store.layout import Layout
from localkit.store.ref import ModelRef
from localkit.store.registry.push import push

root, ref, target, chunk_size = sys.argv[1:]
push(
    Layout(Path(root)),
    ModelRef.parse(ref),
    ModelRef.parse(target),
    chunk_size=int(chunk_size),
    on_progress=lambda report: print(report.done, flush=True),
)
"""
MIB = 1 << 20


@pytest.mark.faults
def test_a_push_that_was_killed_is_finished_by_the_next(
    real: DockerRegistry, store: Store
) -> None:
    data = os.urandom(16 * MIB)
    digest = digest_of(data)
    store.layout.blob(digest).write_bytes(data)
    manifest = store.resolve("tiny:f16").manifest
    weights = (manifest.layers or ())[0]
    large = weights.model_copy(update={"digest": digest, "size": len(data)})
    ref = ModelRef.parse("tiny:large")
    text = manifest.model_copy(update={"layers": (large,)}).encode()
    store.layout.manifest(ref).write_bytes(text)
    target = ModelRef.parse(f"{real.host}/killed/tiny:large")
    arguments = [str(store.root), str(ref), str(target), str(MIB)]
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child, child.stdout:
        for line in child.stdout:
            if float(line) > 8 * MIB:
                child.send_signal(signal.SIGKILL)
                break
    assert digest not in real.blobs()
    receipt = push(store.layout, ref, target, chunk_size=MIB)
    assert digest in real.blobs()
    assert receipt.sent <= len(data)
    assert not list((store.root / ".localkit" / "uploads").iterdir())
