"""A second reader of the store's format, written from its description alone.

Nothing of localkit is imported here. What is checked is what Ollama (v0.33)
relies on: where files lie, how names are made, which fields a manifest and a
config have, in which order and of which types, that every digest is the sha256 of
a file of the stated size, and what stands in each kind of layer.

`read_store` returns what it read, or fails with what is wrong and where.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

_DOCKER = "application/vnd.docker."
MANIFEST = f"{_DOCKER}distribution.manifest.v2+json"
CONFIG = f"{_DOCKER}container.image.v1+json"
IMAGE = "application/vnd.ollama.image."

# kind → how many of it a model of one GGUF may have
_KINDS = {
    "model": (1, 1),
    "projector": (0, 9),
    "adapter": (0, 9),
    "draft": (0, 1),
    "template": (0, 1),
    "prompt": (0, 1),
    "system": (0, 1),
    "params": (0, 1),
    "messages": (0, 1),
    "license": (0, 99),
}
_FIRST = "[A-Za-z0-9_]"
_NAMES = {
    "host": re.compile(rf"{_FIRST}[A-Za-z0-9_.:-]{{0,349}}"),
    "namespace": re.compile(rf"{_FIRST}[A-Za-z0-9_-]{{0,79}}"),
    "model": re.compile(rf"{_FIRST}[A-Za-z0-9_.-]{{0,79}}"),
    "tag": re.compile(rf"{_FIRST}[A-Za-z0-9_.-]{{0,79}}"),
}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_BLOB = re.compile(r"sha256-[0-9a-f]{64}")
_MANIFEST_FIELDS = ("schemaVersion", "mediaType", "config", "layers")
_LAYER_FIELDS = ("mediaType", "digest", "size", "from", "name")
_CONFIG_FIELDS = {
    "model_format": str,
    "model_family": str,
    "model_families": list,
    "model_type": str,
    "file_type": str,
    "renderer": str,
    "parser": str,
    "requires": str,
    "remote_host": str,
    "remote_model": str,
    "capabilities": list,
    "context_length": int,
    "embedding_length": int,
    "base_name": str,
    "draft": dict,
    "architecture": str,
    "os": str,
    "rootfs": dict,
}
_REQUIRED = {
    "model_format",
    "model_family",
    "model_families",
    "model_type",
    "file_type",
    "architecture",
    "os",
    "rootfs",
}
_INT, _FLOAT = (int,), (int, float)
_PARAMS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(
        (
            "num_keep",
            "seed",
            "num_predict",
            "top_k",
            "repeat_last_n",
            "num_ctx",
            "num_batch",
            "num_gpu",
            "main_gpu",
            "num_thread",
            "draft_num_predict",
        ),
        _INT,
    ),
    **dict.fromkeys(
        (
            "top_p",
            "min_p",
            "typical_p",
            "temperature",
            "repeat_penalty",
            "presence_penalty",
            "frequency_penalty",
        ),
        _FLOAT,
    ),
    "use_mmap": (bool,),
    "stop": (list,),
}


@dataclass
class Found:
    """One model as it was read."""

    name: str
    """``host/namespace/model:tag``"""
    digest: str
    """Of the manifest's bytes."""
    raw: bytes
    config: dict[str, Any]
    layers: list[tuple[str, str, int]]
    """Kind, digest, size."""
    inherited: dict[str, str] = field(default_factory=dict)
    """Digest of a layer → the model it was taken from."""
    weights: str = ""
    """Path of the GGUF file."""
    template: str | None = None
    system: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, str]] = field(default_factory=list)
    licences: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(size for _, size in {d: (d, s) for _, d, s in self.layers}.values())


def read_store(root: str | os.PathLike[str]) -> dict[str, Found]:
    """Read and check a whole store; return its models by name."""
    root = os.fspath(root)
    _check_blobs(root)
    found: dict[str, Found] = {}
    for name, path in _manifests(root):
        assert name.lower() not in {other.lower() for other in found}, (
            f"{name} is there twice, in other capitals"
        )
        found[name] = _read_model(root, name, path)
    return found


def _check_blobs(root: str) -> None:
    folder = os.path.join(root, "blobs")
    for name in os.listdir(folder):
        assert _BLOB.fullmatch(name), f"{name} is no blob"
        with open(os.path.join(folder, name), "rb") as stream:
            hashed = hashlib.sha256(stream.read()).hexdigest()
        assert f"sha256-{hashed}" == name, f"{name} holds other bytes"


def _manifests(root: str) -> list[tuple[str, str]]:
    top = os.path.join(root, "manifests")
    found = []
    for folder, _, files in os.walk(top):
        for file in files:
            path = os.path.join(folder, file)
            parts = os.path.relpath(path, top).split(os.sep)
            assert len(parts) == len(_NAMES), f"{path} is not host/namespace/model/tag"
            for (what, pattern), part in zip(_NAMES.items(), parts, strict=True):
                assert pattern.fullmatch(part), f"{part!r} cannot be a {what}"
            assert not os.path.islink(path), f"{path} is a link"
            assert os.path.isfile(path), f"{path} is no file"
            host, namespace, model, tag = parts
            found.append((f"{host}/{namespace}/{model}:{tag}", path))
    return found


def _read_model(root: str, name: str, path: str) -> Found:
    with open(path, "rb") as stream:
        raw = stream.read()
    document = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_twins)
    _check_fields(document, _MANIFEST_FIELDS, _MANIFEST_FIELDS, "the manifest")
    assert type(document["schemaVersion"]) is int
    assert document["schemaVersion"] == 2
    assert document["mediaType"] == MANIFEST
    config_data = _read_layer(root, document["config"])
    assert document["config"]["mediaType"] == CONFIG
    assert set(document["config"]) == {"mediaType", "digest", "size"}
    found = Found(
        name=name,
        digest=f"sha256:{hashlib.sha256(raw).hexdigest()}",
        raw=raw,
        config=_read_config(config_data, document["layers"]),
        layers=[],
    )
    for layer in document["layers"]:
        _take(root, found, layer)
    for kind, (least, most) in _KINDS.items():
        n = sum(1 for one, _, _ in found.layers if one == kind)
        assert least <= n <= most, f"{name} has {n} layers of kind {kind}"
    return found


def _take(root: str, found: Found, layer: dict[str, Any]) -> None:
    data = _read_layer(root, layer)
    assert layer["mediaType"].startswith(IMAGE), layer["mediaType"]
    kind = layer["mediaType"].removeprefix(IMAGE)
    assert kind in _KINDS, kind
    found.layers.append((kind, layer["digest"], layer["size"]))
    if "from" in layer:
        assert isinstance(layer["from"], str)
        found.inherited[layer["digest"]] = layer["from"]
    if kind in {"model", "projector", "adapter", "draft"}:
        assert data[:4] == b"GGUF", f"a {kind} layer is no GGUF"
        if kind == "model":
            found.weights = _blob_path(root, layer["digest"])
        return
    text = data.decode("utf-8")
    assert text, f"a {kind} layer is empty"
    if kind in {"template", "prompt"}:
        assert text.count("{{") == text.count("}}"), "a template with open braces"
        found.template = text
    elif kind == "system":
        found.system = text
    elif kind == "license":
        found.licences.append(text)
    elif kind == "params":
        found.params = _read_params(json.loads(text, object_pairs_hook=_no_twins))
    elif kind == "messages":
        found.messages = json.loads(text, object_pairs_hook=_no_twins)
        assert isinstance(found.messages, list)
        for message in found.messages:
            assert list(message) == ["role", "content"], message
            assert message["role"] in {"system", "user", "assistant"}
            assert isinstance(message["content"], str)


def _read_layer(root: str, layer: Any) -> bytes:
    _check_fields(layer, _LAYER_FIELDS, _LAYER_FIELDS[:3], "a layer")
    assert isinstance(layer["mediaType"], str)
    assert _DIGEST.fullmatch(layer["digest"]), layer["digest"]
    assert type(layer["size"]) is int
    path = _blob_path(root, layer["digest"])
    assert os.path.isfile(path), f"{layer['digest']} is missing"
    with open(path, "rb") as stream:
        data = stream.read()
    assert len(data) == layer["size"], f"{layer['digest']} has {len(data)} bytes"
    return data


def _blob_path(root: str, digest: str) -> str:
    return os.path.join(root, "blobs", digest.replace(":", "-"))


def _read_config(data: bytes, layers: list[dict[str, Any]]) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(
        data.decode("utf-8"), object_pairs_hook=_no_twins
    )
    _check_fields(config, tuple(_CONFIG_FIELDS), tuple(_REQUIRED), "the config")
    for key, value in config.items():
        assert type(value) is _CONFIG_FIELDS[key], f"{key} is {value!r}"
    assert config["model_format"] == "gguf"
    assert config["model_family"] in config["model_families"]
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)?[KMBT]?", config["model_type"])
    assert (config["architecture"], config["os"]) == ("amd64", "linux")
    assert list(config["rootfs"]) == ["type", "diff_ids"]
    assert config["rootfs"]["type"] == "layers"
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in layers]
    return config


def _read_params(params: Any) -> dict[str, Any]:
    assert isinstance(params, dict)
    for name, value in params.items():
        assert name in _PARAMS, f"{name} is no parameter"
        assert type(value) in _PARAMS[name], f"{name} is {value!r}"
    assert all(isinstance(text, str) for text in params.get("stop", []))
    assert list(params) == sorted(params), "Go sorts the keys of a map"
    return params


def _check_fields(
    document: Any, order: tuple[str, ...], required: tuple[str, ...], what: str
) -> None:
    assert isinstance(document, dict), f"{what} is {document!r}"
    fields = list(document)
    assert set(fields) <= set(order), f"{what} has {set(fields) - set(order)}"
    assert set(fields) >= set(required), f"{what} lacks {set(required) - set(fields)}"
    assert fields == [name for name in order if name in fields], f"{what}: {fields}"


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    assert len(document) == len(pairs), f"a field comes twice: {pairs}"
    return document
