"""S6: no name or digest that a registry sends becomes a path, here or there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from localkit.errors import LocalkitError, ManifestInvalid, RefError
from localkit.io.http import Pace
from localkit.store.layout import Layout
from localkit.store.ref import ModelRef
from localkit.store.registry import endpoints
from localkit.store.registry.client import Registry
from localkit.store.registry.pull import pull
from tests.fixtures.registry import (
    CONFIG_TYPE,
    MODEL_TYPE,
    Answer,
    HostileRegistry,
    digest_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAST = Pace(shortest_s=0.001, longest_s=0.002)
DIGITS = "0" * 64

EVIL_DIGESTS = [
    "sha256:../../../../etc/passwd",
    "sha256-" + DIGITS,
    "sha256:" + DIGITS + "\n",
    "sha256:" + "A" * 64,
    "sha256:" + DIGITS[:-1] + "/",
    "sha256:" + "../" * 21 + "a",
    "sha512:" + DIGITS,
    "../" + DIGITS,
    "/etc/passwd",
    "sha256:" + DIGITS + "/../../x",
    "sha256:" + "\u0660" * 64,  # digits, but not ASCII
    "sha256:" + DIGITS[:-1] + "\0",
    "",
    "x" * 1_000_000,
]


@pytest.fixture
def registry() -> Iterator[HostileRegistry]:
    with HostileRegistry() as registry:
        yield registry


def manifest(digest: object, *, kind: object = MODEL_TYPE, size: object = 4) -> bytes:
    config = {"mediaType": CONFIG_TYPE, "digest": digest_of(b"{}"), "size": 2}
    layer = {"mediaType": kind, "digest": digest, "size": size}
    document = {"schemaVersion": 2, "config": config, "layers": [layer]}
    return json.dumps(document).encode()


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def pulled(registry: HostileRegistry, root: Path) -> None:
    with Registry(
        registry.host, find=lambda _: None, pace=FAST, stall_s=1, document_s=1
    ) as one:
        pull(Layout(root), ModelRef.parse(f"{registry.host}/library/x"), registry=one)


@pytest.mark.parametrize("digest", [*EVIL_DIGESTS, None, 7, ["sha256"], {}])
@pytest.mark.parametrize("part", ["layer", "config"])
def test_S6_a_digest_of_a_registry_that_is_none_is_refused_before_any_path(
    registry: HostileRegistry, tmp_path: Path, digest: object, part: str
) -> None:
    data = manifest(digest)
    if part == "config":
        document = json.loads(manifest(digest_of(b"GGUF")))
        document["config"]["digest"] = digest
        data = json.dumps(document).encode()
    registry.add_manifest("library/x", "latest", data)
    with pytest.raises(ManifestInvalid):
        pulled(registry, tmp_path / "a" / "store")
    assert tree(tmp_path) == set()
    assert not registry.requests("/blobs/")


@pytest.mark.parametrize("size", [-1, 1 << 60, 1.5, "4", None, True])
def test_S6_a_size_that_is_none_is_refused(
    registry: HostileRegistry, tmp_path: Path, size: object
) -> None:
    registry.add_manifest(
        "library/x", "latest", manifest(digest_of(b"GGUF"), size=size)
    )
    with pytest.raises(ManifestInvalid):
        pulled(registry, tmp_path / "store")
    assert tree(tmp_path) == set()


def test_S6_a_name_within_a_layer_names_no_file(
    registry: HostileRegistry, tmp_path: Path, tiny_gguf: Path
) -> None:
    weights = tiny_gguf.read_bytes()
    digest = registry.add_model("library/x", "latest", [(MODEL_TYPE, weights)])
    document = json.loads(registry.manifests["library/x", digest])
    document["layers"][0]["name"] = "../../../evil"
    document["layers"][0]["from"] = "/etc/passwd"
    registry.add_manifest("library/x", "latest", json.dumps(document).encode())
    pulled(registry, tmp_path / "store")
    names = {path.rpartition("/")[2] for path in tree(tmp_path)}
    assert not any("evil" in name or "passwd" in name for name in names)
    assert {path.partition("/")[0] for path in tree(tmp_path)} == {"store"}


def test_S6_a_header_of_a_registry_names_no_file(
    registry: HostileRegistry, tmp_path: Path, tiny_gguf: Path
) -> None:
    weights = tiny_gguf.read_bytes()
    registry.add_model("library/x", "latest", [(MODEL_TYPE, weights)])
    data = registry.manifests["library/x", "latest"]
    headers = {
        "Docker-Content-Digest": "sha256:../../evil",
        "Content-Disposition": 'attachment; filename="../../evil"',
    }
    registry.answer("/manifests/", Answer(200, headers, data))
    pulled(registry, tmp_path / "store")
    assert not any("evil" in path for path in tree(tmp_path))


@pytest.mark.parametrize("digest", EVIL_DIGESTS)
def test_S6_an_address_is_made_of_a_digest_or_not_at_all(digest: str) -> None:
    with pytest.raises(RefError):
        endpoints.blob("library/x", digest)


@given(text=st.text(max_size=200))
@hypothesis_settings(
    max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck)
)
def test_S6_an_address_has_the_route_that_it_was_made_for(text: str) -> None:
    try:
        ref = ModelRef.parse(text)
    except RefError:
        return
    name = endpoints.repository(ref)
    for path in (
        endpoints.manifest(name, ref.tag or "latest"),
        endpoints.tags(name),
        endpoints.uploads(name, mount=digest_of(b""), source=name),
    ):
        route, _, _ = path.partition("?")
        assert route.startswith(f"/v2/{ref.namespace}/{ref.model}/")
        assert not {"..", "", "."} & set(route.rstrip("/")[1:].split("/"))
        assert path.isascii()
        assert path.isprintable()


@given(data=st.binary(max_size=300))
@hypothesis_settings(max_examples=500, deadline=None)
def test_S6_any_bytes_for_a_manifest_are_a_typed_refusal(data: bytes) -> None:
    from localkit.store.registry.manifests import _checked

    with pytest.raises(LocalkitError):
        _checked(data, ModelRef.parse("x:y"))
