"""What add writes, field by field, read without any of our own readers.

The format is Ollama's: manifests/<host>/<namespace>/<model>/<tag> and
blobs/sha256-<hex>, a container manifest of schema 2, and a config blob.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from localkit.store import Store
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    source = write_tiny_llama(
        tmp_path / "tiny.gguf", metadata={"general.license": "apache-2.0"}
    )
    store = Store(tmp_path / "models")
    store.add(source, "tiny:f16")
    return store.root


@pytest.fixture
def manifest(root: Path) -> dict[str, Any]:
    path = root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "f16"
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def _blob(root: Path, layer: dict[str, Any]) -> bytes:
    algorithm, digits = layer["digest"].split(":")
    data = (root / "blobs" / f"{algorithm}-{digits}").read_bytes()
    assert hashlib.sha256(data).hexdigest() == digits
    assert len(data) == layer["size"]
    return data


def test_the_manifest_has_ollamas_fields_in_ollamas_order(
    root: Path, manifest: dict[str, Any]
) -> None:
    assert list(manifest) == ["schemaVersion", "mediaType", "config", "layers"]
    assert manifest["schemaVersion"] == 2
    assert (
        manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    )
    for layer in (manifest["config"], *manifest["layers"]):
        assert list(layer) == ["mediaType", "digest", "size"]


def test_the_manifest_is_compact_and_ends_its_line(
    root: Path, manifest: dict[str, Any]
) -> None:
    (path,) = (root / "manifests").rglob("f16")
    compact = json.dumps(manifest, separators=(",", ":")) + "\n"
    assert path.read_text(encoding="utf-8") == compact


def test_the_layers_are_weights_and_licence_and_no_template(
    root: Path, tmp_path: Path, manifest: dict[str, Any]
) -> None:
    kinds = [layer["mediaType"] for layer in manifest["layers"]]
    assert kinds == [
        "application/vnd.ollama.image.model",
        "application/vnd.ollama.image.license",
    ]
    weights, licence = (_blob(root, layer) for layer in manifest["layers"])
    assert weights == (tmp_path / "tiny.gguf").read_bytes()
    assert licence == b"apache-2.0"


def test_the_config_has_ollamas_fields(root: Path, manifest: dict[str, Any]) -> None:
    assert (
        manifest["config"]["mediaType"]
        == "application/vnd.docker.container.image.v1+json"
    )
    config = json.loads(_blob(root, manifest["config"]))
    n_params = config.pop("model_type")
    assert n_params[-1] in "KM"
    assert n_params[:-1].replace(".", "").isdigit()
    assert config == {
        "model_format": "gguf",
        "model_family": "llama",
        "model_families": ["llama"],
        "file_type": "F16",
        "context_length": 512,
        "embedding_length": 64,
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {
            "type": "layers",
            "diff_ids": [layer["digest"] for layer in manifest["layers"]],
        },
    }


def test_blobs_hold_nothing_but_blobs(root: Path, manifest: dict[str, Any]) -> None:
    named = {layer["digest"] for layer in (manifest["config"], *manifest["layers"])}
    here = {path.name.replace("-", ":", 1) for path in (root / "blobs").iterdir()}
    assert here == named


@pytest.mark.parametrize(
    ("n_params", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_500, "2K"),
        (1_000_000, "1M"),
        (134_515_008, "134.52M"),
        (500_500_000, "500.50M"),
        (1_000_000_000, "1B"),
        (8_030_261_248, "8.0B"),
        (2_850_000_000, "2.9B"),
        (1_000_000_000_000, "1000B"),
    ],
)
def test_parameter_sizes_read_as_ollama_writes_them(n_params: int, text: str) -> None:
    from localkit.store.config_blob import _parameter_size

    assert _parameter_size(n_params) == text


def test_a_projector_beside_the_weights_is_found(
    root: Path, manifest: dict[str, Any]
) -> None:
    data = b"a projector"
    digits = hashlib.sha256(data).hexdigest()
    (root / "blobs" / f"sha256-{digits}").write_bytes(data)
    manifest["layers"].append(
        {
            "mediaType": "application/vnd.ollama.image.projector",
            "digest": f"sha256:{digits}",
            "size": len(data),
        }
    )
    path = root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "eyes"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    store = Store(root)
    projector = store.resolve("tiny:eyes").projector
    assert projector is not None
    assert projector.read_bytes() == data
    assert store.resolve("tiny:f16").projector is None
