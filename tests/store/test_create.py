"""Variants of stored models: what they share, what they carry, byte by byte."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import (
    AdapterInvalid,
    BlobCorrupt,
    GGUFError,
    ManifestInvalid,
    ModelfileInvalid,
    RefError,
    SourceNotFound,
)
from localkit.store import Recipe, Store, StoredModel
from tests.fixtures.draft import write_poor_draft
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.lora import write_lora
from tests.fixtures.projector import write_tiny_projector

if TYPE_CHECKING:
    from pathlib import Path

_IMAGE = "application/vnd.ollama.image."


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def base(store: Store, tmp_path: Path) -> StoredModel:
    metadata = {"general.license": "apache-2.0"}
    source = write_tiny_llama(tmp_path / "base.gguf", metadata=metadata)
    return store.add(source, "base:f16").model


def layers(model: StoredModel) -> list[str]:
    return [
        layer.media_type.removeprefix(_IMAGE) for layer in model.manifest.layers or ()
    ]


def blob(model: StoredModel, kind: str) -> bytes:
    layer = model.manifest.of_type(f"{_IMAGE}{kind}")[-1]
    name = layer.digest.replace(":", "-")
    return (model.layout.root / "blobs" / name).read_bytes()


def test_a_variant_shares_the_weights_and_writes_texts_alone(
    store: Store, base: StoredModel
) -> None:
    recipe = Recipe(base, system="Be brief.", params={"temperature": 0.0})
    made = store.create("brief", recipe)
    assert str(made.model.ref) == "brief:latest"
    assert made.model.weights == base.weights
    assert made.model.weights_digest == base.weights_digest
    assert (made.method, made.size) == ("present", base.weights.stat().st_size)
    assert made.new < 1024
    assert layers(made.model) == ["model", "license", "system", "params"]
    assert (made.model.system, dict(made.model.params)) == (
        "Be brief.",
        {"temperature": 0.0},
    )
    assert made.model.licences == ("apache-2.0",)
    weights_blobs = [path for path in store.root.rglob("sha256-*") if _is_large(path)]
    assert weights_blobs == [base.weights]


def _is_large(path: Path) -> bool:
    return path.suffix != ".json" and path.stat().st_size > 10_000


def test_layers_and_texts_have_the_bytes_that_ollama_writes(
    store: Store, base: StoredModel
) -> None:
    recipe = Recipe(
        base,
        template="{{ .Prompt }}",
        system="é <&>",
        params={"stop": ["<|im_end|>"], "top_p": 0.9, "num_ctx": 4096},
        messages=({"role": "user", "content": "<hi>", "other": "x"},),
        licences=("MIT",),
        renderer="r",
        parser="p",
        requires="0.14.0",
    )
    model = store.create("full:a", recipe).model
    assert layers(model) == [
        "model",
        "license",
        "template",
        "system",
        "license",
        "params",
        "messages",
    ]
    assert blob(model, "template") == b"{{ .Prompt }}"
    assert blob(model, "system") == "é <&>".encode()
    assert blob(model, "license") == b"MIT"
    assert blob(model, "params") == (
        b'{"num_ctx":4096,"stop":["\\u003c|im_end|\\u003e"],"top_p":0.9}\n'
    )
    assert blob(model, "messages") == (
        b'[{"role":"user","content":"\\u003chi\\u003e"}]\n'
    )
    (manifest,) = (store.root / "manifests").rglob("a")
    document = json.loads(manifest.read_bytes())
    parents = [layer.get("from") for layer in document["layers"]]
    assert parents == ["base:f16", "base:f16", None, None, None, None, None]
    config = json.loads(
        (model.layout.root / "blobs")
        .joinpath(document["config"]["digest"].replace(":", "-"))
        .read_bytes()
    )
    assert list(config) == [
        "model_format",
        "model_family",
        "model_families",
        "model_type",
        "file_type",
        "renderer",
        "parser",
        "requires",
        "context_length",
        "embedding_length",
        "architecture",
        "os",
        "rootfs",
    ]
    assert (model.config.renderer, model.config.parser) == ("r", "p")
    assert model.config.requires == "0.14.0"


def test_a_variant_of_a_variant_inherits_and_overrides(
    store: Store, base: StoredModel
) -> None:
    first = Recipe(
        base,
        system="one",
        template="{{ .Prompt }}",
        params={"top_k": 1, "seed": 7},
        messages=({"role": "user", "content": "a"},),
        renderer="r",
        licences=("MIT",),
    )
    one = store.create("one", first).model
    two = store.create("two", Recipe(one, system="two", params={"top_k": 2})).model
    assert (two.system, two.template) == ("two", "{{ .Prompt }}")
    assert dict(two.params) == {"top_k": 2, "seed": 7}
    assert [dict(one) for one in two.messages] == [{"role": "user", "content": "a"}]
    assert two.config.renderer == "r"
    assert two.licences == ("apache-2.0", "MIT")
    bare = Recipe(two, system="", template="", licences=("MIT",))
    three = store.create("three", bare).model
    assert (three.system, three.template) == (None, None)
    assert three.licences == ("apache-2.0", "MIT")
    again = store.create("again", Recipe(two))
    assert again.model.manifest.config == two.manifest.config


def test_adapters_projector_and_draft_become_layers(
    store: Store, base: StoredModel, tmp_path: Path
) -> None:
    recipe = Recipe(
        base,
        projectors=(write_tiny_projector(tmp_path / "eyes.gguf"),),
        adapters=(write_lora(tmp_path / "a.gguf"),),
        draft=write_poor_draft(tmp_path / "draft.gguf"),
    )
    model = store.create("all", recipe).model
    assert layers(model) == ["model", "license", "projector", "adapter", "draft"]
    assert model.projector is not None
    assert model.draft is not None
    assert model.projector.read_bytes() == (tmp_path / "eyes.gguf").read_bytes()
    assert model.draft.read_bytes() == (tmp_path / "draft.gguf").read_bytes()
    assert [one.read_bytes() for one in model.adapters] == [
        (tmp_path / "a.gguf").read_bytes()
    ]
    config = json.loads(blob_of(model, model.manifest.config.digest))
    assert config["draft"] == {"model_format": "gguf", "architecture": "llama"}
    more = Recipe(model, adapters=(write_lora(tmp_path / "b.gguf", seed=2),))
    both = store.create("both", more).model
    assert both.adapters[0] == model.adapters[0]
    assert len(both.adapters) == 2
    assert (both.projector, both.draft) == (model.projector, model.draft)


def blob_of(model: StoredModel, digest: str) -> bytes:
    return (model.layout.root / "blobs" / digest.replace(":", "-")).read_bytes()


def test_a_file_of_its_own_gets_the_bases_other_layers(
    store: Store, base: StoredModel, tmp_path: Path
) -> None:
    one = store.create("one", Recipe(base, system="one")).model
    other = write_tiny_llama(tmp_path / "other.gguf", seed=9)
    with store.staging() as staged:
        staged.write_bytes(other.read_bytes())
        made = store.create("moved", Recipe(staged, base=one))
        assert not staged.exists()
    assert made.method == "moved"
    assert layers(made.model) == ["model", "license", "system"]
    assert made.model.system == "one"
    assert made.model.weights.read_bytes() == other.read_bytes()


def test_blobs_can_be_named_by_their_digests(
    store: Store, base: StoredModel, tmp_path: Path
) -> None:
    adapter = write_lora(tmp_path / "a.gguf")
    first = store.create("first", Recipe(base, adapters=(adapter,))).model
    digest = f"sha256:{hashlib.sha256(adapter.read_bytes()).hexdigest()}"
    recipe = Recipe(base.weights_digest, adapters=(digest,))
    made = store.create("second", recipe)
    assert (made.method, made.model.adapters) == ("present", first.adapters)
    with pytest.raises(SourceNotFound, match="no intact blob"):
        store.create("x", Recipe(base, draft="sha256:" + "0" * 64))
    with pytest.raises(RefError, match="not a digest"):
        store.create("x", Recipe(base, adapters=("../../etc/passwd",)))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"adapters": ("missing.gguf",)}, SourceNotFound),
        ({"adapters": ("base.gguf",)}, AdapterInvalid),
        ({"adapters": ("foreign.gguf",)}, AdapterInvalid),
        ({"projectors": ("base.gguf",)}, GGUFError),
        ({"draft": "lora.gguf"}, GGUFError),
        ({"params": {"temperature": "hot"}}, ModelfileInvalid),
        ({"params": {"temprature": 1}}, ModelfileInvalid),
        ({"messages": ({"role": "owl", "content": "x"},)}, ModelfileInvalid),
        ({"messages": ({"role": "user"},)}, ModelfileInvalid),
        ({"system": "\ud800"}, ModelfileInvalid),
        ({"params": {"stop": "\ud800"}}, ModelfileInvalid),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_written(
    store: Store,
    base: StoredModel,
    tmp_path: Path,
    changes: dict[str, Any],
    error: type[Exception],
) -> None:
    write_lora(tmp_path / "lora.gguf")
    write_lora(tmp_path / "foreign.gguf", keys={"general.architecture": "gemma"})
    for name in ("adapters", "projectors"):
        if name in changes:
            changes = {name: tuple(tmp_path / one for one in changes[name])}
    if "draft" in changes:
        changes = {"draft": tmp_path / changes["draft"]}
    before = {path.name for path in store.root.rglob("*") if path.is_file()}
    with pytest.raises(error):
        store.create("x", Recipe(base, **changes))
    after = {path.name for path in store.root.rglob("*") if path.is_file()}
    assert after == before


def test_a_ref_with_a_digest_is_refused_before_anything_is_hashed(
    store: Store, base: StoredModel
) -> None:
    with pytest.raises(RefError, match="names a digest"):
        store.create("x@sha256:" + "0" * 64, Recipe(base))


def test_replacing_a_variant_deletes_what_only_it_used(
    store: Store, base: StoredModel
) -> None:
    one = store.create("v", Recipe(base, system="one")).model
    old = one.manifest.of_type(f"{_IMAGE}system")[0].digest
    two = store.create("v", Recipe(base, system="two")).model
    assert not two.layout.blob(old).exists()
    assert two.weights.exists()
    store.remove("v")
    assert store.resolve("base:f16").weights.exists()


def test_a_copy_has_the_same_digest_and_costs_nothing(
    store: Store, base: StoredModel
) -> None:
    receipt = store.copy("base", "twin")
    assert (str(receipt.source), str(receipt.ref)) == ("base:f16", "twin:latest")
    assert store.resolve("twin").digest == base.digest
    assert store.resolve("twin").weights == base.weights
    with pytest.raises(RefError, match="digest"):
        store.copy("base", f"twin@{base.digest}")


def test_S5_a_changed_text_layer_is_found_when_it_is_read(
    store: Store, base: StoredModel
) -> None:
    one = store.create("v", Recipe(base, system="be kind", params={"top_k": 1})).model
    for kind in ("system", "params"):
        path = one.layout.blob(one.manifest.of_type(f"{_IMAGE}{kind}")[0].digest)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(b"k", b"K"))
    changed = store.resolve("v")
    with pytest.raises(BlobCorrupt, match="does not hash"):
        _ = changed.system
    with pytest.raises(BlobCorrupt, match="does not hash"):
        _ = changed.params


@pytest.mark.parametrize(
    ("kind", "data", "reads"),
    [
        ("params", b"[]", "params"),
        ("params", b"{", "params"),
        ("params", b"[" * 100_000, "params"),
        ("messages", b"{}", "messages"),
        ("messages", b'[{"role": 1}]', "messages"),
        ("messages", b"[1]", "messages"),
        ("system", b"x" * (5 << 20), "system"),
        ("template", b"x" * (5 << 20), "template"),
        ("license", b"x" * (5 << 20), "licences"),
    ],
)
def test_S8_a_hostile_layer_says_that_the_model_is_damaged(
    store: Store, base: StoredModel, kind: str, data: bytes, reads: str
) -> None:
    digest = hashlib.sha256(data).hexdigest()
    (store.root / "blobs" / f"sha256-{digest}").write_bytes(data)
    (path,) = (store.root / "manifests").rglob("f16")
    document = json.loads(path.read_bytes())
    document["layers"].append(
        {
            "mediaType": f"{_IMAGE}{kind}",
            "digest": f"sha256:{digest}",
            "size": len(data),
        }
    )
    path.with_name("bad").write_text(json.dumps(document), encoding="utf-8")
    bad = store.resolve("base:bad")
    with pytest.raises(ManifestInvalid, match="damaged") as caught:
        getattr(bad, reads)
    assert len(caught.value.one_line()) < 300


def test_layers_of_ollama_are_read_leniently(store: Store, base: StoredModel) -> None:
    def put(kind: str, data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (store.root / "blobs" / f"sha256-{digest}").write_bytes(data)
        media_type = kind if "/" in kind else f"{_IMAGE}{kind}"
        return {
            "mediaType": media_type,
            "digest": f"sha256:{digest}",
            "size": len(data),
        }

    (path,) = (store.root / "manifests").rglob("f16")
    document = json.loads(path.read_bytes())
    document["layers"] += [
        put("prompt", b"{{ .Prompt }} \xff"),
        put("params", b"null\n"),
        put("messages", b"null\n"),
    ]
    config = b'{"model_format":"gguf","model_families":null,"renderer":7,"new":{}}'
    document["config"] = put(document["config"]["mediaType"], config)
    path.with_name("old").write_text(json.dumps(document), encoding="utf-8")
    old = store.resolve("base:old")
    assert old.template == "{{ .Prompt }} \ufffd"
    assert (dict(old.params), old.messages) == ({}, ())
    assert (old.config.renderer, old.config.model_families) == ("", ())
