"""One format, two readers: our stores read by another, Ollama's opened by us."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from localkit.cli import main
from localkit.cli.ollama import kit_of
from localkit.config import Settings
from localkit.errors import ManifestInvalid, ModelNotFound, StoreError
from localkit.kit import Kit
from localkit.runtime.params import LoadParams
from localkit.store import Recipe, Store
from localkit.store.ref import ModelRef
from localkit.store.registry.client import Registry
from localkit.store.registry.pull import pull
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.lora import write_lora
from tests.fixtures.projector import write_tiny_projector
from tests.fixtures.registry import HostileRegistry
from tests.store.ollama_reader import Found, read_store
from tests.store.ollama_writer import HOME, OllamaWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = "{{ if .System }}<|im_start|>system\n{{ .System }}{{ end }}{{ .Prompt }}"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_tiny_llama(
        tmp_path / "tiny.gguf", metadata={"general.license": "apache-2.0"}
    )


@pytest.fixture
def store(tmp_path: Path, weights: Path) -> Store:
    store = Store(tmp_path / "models")
    store.add(weights, "tiny:f16")
    return store


def _one(store: Store, name: str) -> Found:
    return read_store(store.root)[f"registry.ollama.ai/library/{name}"]


# Ours, read by the other.


def test_what_add_writes_reads_the_same_with_the_other_reader(
    store: Store, weights: Path
) -> None:
    ours, theirs = store.resolve("tiny:f16"), _one(store, "tiny:f16")
    assert theirs.digest == ours.digest
    assert theirs.weights == str(ours.weights)
    assert Path(theirs.weights).read_bytes() == weights.read_bytes()
    assert theirs.licences == list(ours.licences) == ["apache-2.0"]
    assert (theirs.config["file_type"], theirs.config["context_length"]) == ("F16", 512)
    assert [kind for kind, _, _ in theirs.layers] == ["model", "license"]
    assert theirs.raw.endswith(b"}\n")
    assert b": " not in theirs.raw


def test_what_create_writes_reads_the_same_and_shares_the_weights(
    store: Store, tmp_path: Path
) -> None:
    base = store.resolve("tiny:f16")
    recipe = Recipe(
        weights=base,
        template=TEMPLATE,
        system="Be brief. <ünï> & \u2028 more",
        params={"temperature": 0.7, "stop": ["<|im_end|>"], "num_ctx": 256},
        messages=(
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "hi"},
        ),
        adapters=(write_lora(tmp_path / "lora.gguf"),),
        licences=("Only on Sundays.",),
    )
    made = store.create("brief", recipe).model
    theirs = _one(store, "brief:latest")
    assert theirs.digest == made.digest
    assert theirs.template == made.template == TEMPLATE
    assert theirs.system == made.system == recipe.system
    assert theirs.params == dict(made.params)
    assert theirs.params == {
        "temperature": 0.7,
        "stop": ["<|im_end|>"],
        "num_ctx": 256,
    }
    assert theirs.messages == [dict(message) for message in made.messages]
    assert theirs.licences == list(made.licences) == ["apache-2.0", "Only on Sundays."]
    assert theirs.weights == _one(store, "tiny:f16").weights
    assert theirs.inherited[base.weights_digest] == "tiny:f16"
    assert [kind for kind, _, _ in theirs.layers].count("adapter") == 1


def test_a_model_with_a_projector_reads_the_same(
    store: Store, weights: Path, tmp_path: Path
) -> None:
    projector = write_tiny_projector(tmp_path / "mmproj.gguf")
    recipe = Recipe(weights=weights, projectors=(projector,))
    made = store.create("eyes:f16", recipe).model
    theirs = _one(store, "eyes:f16")
    digests = {kind: digest for kind, digest, _ in theirs.layers}
    assert made.projector == store.layout.blob(digests["projector"])


def test_copies_and_replacements_leave_a_store_the_other_reader_takes(
    store: Store, tmp_path: Path
) -> None:
    store.copy("tiny:f16", "Me/Copy:V1.0")
    store.add(write_tiny_llama(tmp_path / "b.gguf", seed=2), "tiny:f16")
    store.add(write_tiny_llama(tmp_path / "c.gguf", seed=3), "hf.co/Some-One/M:Q4_K_M")
    assert set(read_store(store.root)) == {
        "registry.ollama.ai/library/tiny:f16",
        "registry.ollama.ai/Me/Copy:V1.0",
        "hf.co/Some-One/M:Q4_K_M",
    }
    store.remove("me/copy:v1.0")
    store.remove("hf.co/some-one/m")
    assert set(read_store(store.root)) == {"registry.ollama.ai/library/tiny:f16"}


def test_what_was_pulled_is_byte_for_byte_what_the_registry_has(
    tmp_path: Path, weights: Path
) -> None:
    writer = OllamaWriter(tmp_path / "origin")
    manifest = _full(writer, weights)
    store = Store(tmp_path / "models")
    with HostileRegistry() as registry:
        for path in (writer.root / "blobs").iterdir():
            registry.blobs[path.name.replace("-", ":")] = path.read_bytes()
        registry.manifests["library/full", "latest"] = manifest
        name = f"{registry.host}/library/full:latest"
        with Registry(registry.host, find=lambda _: None) as client:
            pull(store.layout, ModelRef.parse(name), registry=client)
    (theirs,) = read_store(store.root).values()
    assert theirs.name == name
    assert theirs.raw == manifest
    assert theirs.digest == store.resolve(name).digest


def test_the_second_reader_refuses_what_is_wrong(store: Store) -> None:
    path = store.root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "f16"
    good = path.read_bytes()
    document = json.loads(good)
    layer = document["layers"][0]
    for wrong in (
        {**document, "more": 1},
        {**document, "schemaVersion": 2.0},
        {**document, "layers": document["layers"][1:]},
        {**document, "layers": [{**layer, "size": layer["size"] + 1}]},
        {**document, "layers": [{**layer, "digest": layer["digest"].upper()}]},
        {**document, "layers": [dict(reversed(layer.items()))]},
        dict(reversed(document.items())),
    ):
        path.write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(AssertionError):
            read_store(store.root)
    path.write_bytes(good)
    assert read_store(store.root)


# Ollama's, opened by us.


def _full(writer: OllamaWriter, weights: Path) -> bytes:
    """Return the manifest of a model with every kind of layer but a draft."""
    folder = writer.root.parent
    params = {"num_ctx": 128, "stop": ["<|im_end|>"], "temperature": 0}
    messages = [{"role": "user", "content": "hello"}]
    return writer.manifest(
        [
            writer.layer("model", weights.read_bytes(), **{"from": "tiny:f16"}),
            writer.layer("license", b"MIT License"),
            writer.layer("license", b"And a second text"),
            writer.layer("template", b"<|im_start|>user\n{{ .Prompt }}<|im_end|>\n"),
            writer.layer("system", b"Be brief."),
            writer.layer("params", json.dumps(params).encode()),
            writer.layer("messages", json.dumps(messages).encode()),
            writer.layer(
                "adapter", write_lora(folder / "l.gguf").read_bytes(), name="lora"
            ),
        ],
        capabilities=["completion"],
        context_length=512,
        embedding_length=64,
    )


@pytest.fixture
def ollama(tmp_path: Path, weights: Path) -> OllamaWriter:
    """Return a store as Ollama leaves it, with what a long life brings in."""
    writer = OllamaWriter(tmp_path / "dot-ollama" / "models")
    data = weights.read_bytes()
    full = _full(writer, weights)
    plain = writer.manifest([writer.layer("model", data)])
    writer.name(f"{HOME}/full/latest", full)
    writer.name(f"{HOME}/plain/f16", plain)
    writer.name("hf.co/Me/Model-GGUF/Q4_K_M", plain)
    writer.link(f"{HOME}/linked/latest", plain)
    # A newer Ollama's link counts, not the manifest an older one left.
    writer.name(f"{HOME}/moved/latest", plain)
    writer.link(f"{HOME}/moved/latest", full)
    old = writer.layer("prompt", b"{{ .Prompt }}")
    writer.name(f"{HOME}/old/latest", writer.manifest([*_layers(plain), old]))
    # Damaged ones, a model that runs elsewhere, an unfinished pull, rubbish.
    writer.name(f"{HOME}/torn/latest", plain[:-30])
    gone = {**_layers(plain)[0], "digest": "sha256:" + "7" * 64}
    writer.name(f"{HOME}/gone/latest", writer.manifest([gone]))
    cloud = json.loads(plain) | {"layers": None}
    writer.name(f"{HOME}/big/cloud", json.dumps(cloud).encode())
    (writer.root / "blobs" / f"sha256-{'2' * 64}-partial").write_bytes(b"half")
    (writer.root / "blobs" / f"sha256-{'2' * 64}-partial-0").write_bytes(b"{}")
    (writer.root / "manifests" / ".DS_Store").write_bytes(b"\0")
    return writer


def _layers(manifest: bytes) -> list[dict[str, object]]:
    layers: list[dict[str, object]] = json.loads(manifest)["layers"]
    return layers


def _look(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return what every file and folder looks like: reading may change none of it."""
    return {
        str(path): (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)
        for path in (root, *root.rglob("*"))
        for stat in [path.lstat()]
    }


def test_an_ollama_store_is_listed_with_its_damaged_models(
    ollama: OllamaWriter,
) -> None:
    lines = {str(line.ref): line for line in Store(ollama.root).list()}
    assert {name for name, line in lines.items() if not line.damaged} == {
        "full:latest",
        "plain:f16",
        "hf.co/Me/Model-GGUF:Q4_K_M",
        "linked:latest",
        "moved:latest",
        "old:latest",
        "big:cloud",
    }
    assert {name for name, line in lines.items() if line.damaged} == {
        "torn:latest",
        "gone:latest",
    }
    assert lines["full:latest"].quant == "F16"


def test_every_layer_of_an_ollama_model_is_found(
    ollama: OllamaWriter, weights: Path
) -> None:
    store = Store(ollama.root)
    model = store.resolve("FULL")
    assert model.digest == f"sha256:{_sha256(_full(ollama, weights))}"
    assert model.weights.read_bytes() == weights.read_bytes()
    assert model.template == "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n"
    assert model.system == "Be brief."
    assert dict(model.params) == {
        "num_ctx": 128,
        "stop": ["<|im_end|>"],
        "temperature": 0,
    }
    assert [dict(one) for one in model.messages] == [
        {"role": "user", "content": "hello"}
    ]
    assert model.licences == ("MIT License", "And a second text")
    assert len(model.adapters) == 1
    assert model.config.capabilities == ("completion",)
    assert store.resolve("old").template == "{{ .Prompt }}"
    assert store.resolve("moved").digest == model.digest
    assert store.resolve("linked").digest == store.resolve("plain").digest
    assert str(store.resolve("hf.co/me/model-gguf").ref) == "hf.co/Me/Model-GGUF:Q4_K_M"
    assert str(store.resolve(f"full@{model.digest}").ref) == "full:latest"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_what_cannot_run_says_so(ollama: OllamaWriter) -> None:
    store = Store(ollama.root)
    with pytest.raises(StoreError, match="has 0 GGUF files"):
        store.resolve("big:cloud")
    with pytest.raises(ManifestInvalid):
        store.resolve("torn")
    with pytest.raises(ManifestInvalid, match="missing"):
        store.resolve("gone")
    with pytest.raises(ModelNotFound):
        store.resolve("nobody")


def test_reading_an_ollama_store_in_every_way_changes_nothing_in_it(
    ollama: OllamaWriter,
) -> None:
    before = _look(ollama.root)
    store = Store(ollama.root)
    model = store.resolve("full")
    assert model.info.architecture == "llama"
    assert model.template
    store.list()
    store.tags("full")
    store.usage()
    store.verify()
    store.prune(dry_run=True)
    assert _look(ollama.root) == before


@pytest.fixture
def kit(ollama: OllamaWriter, tmp_path: Path) -> Iterator[Kit]:
    """Return a kit on Ollama's store, with the real engine."""
    kit = Kit(Settings(home=tmp_path / "home", models=ollama.root))
    yield kit
    kit.close()


def test_an_ollama_model_runs_in_place_and_nothing_there_changes(
    ollama: OllamaWriter, kit: Kit
) -> None:
    before = _look(ollama.root)
    for name in ("plain", "linked", "old", "hf.co/me/model-gguf:q4_k_m"):
        model = kit.load(name, LoadParams(n_ctx=256))
        assert model.generate("hello", max_tokens=4, seed=1).tokens
        kit.unload()
    assert _look(ollama.root) == before


def _run(*words: str) -> str:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.fixture
def forget_kits() -> Iterator[None]:
    """Close what commands leave open for the next one."""
    kits: list[Kit] = []
    with pytest.MonkeyPatch.context() as patch:

        def kept(folder: Path) -> Kit:
            kits.append(kit_of(folder))
            return kits[-1]

        patch.setattr("localkit.cli.ollama.kit_of", kept)
        yield
    for kit in kits:
        kit.close()
    kit_of.cache_clear()


@pytest.mark.usefixtures("forget_kits")
def test_any_command_works_on_ollamas_store_where_it_lies(
    ollama: OllamaWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(ollama.root.parents[1]))
    os.rename(ollama.root.parent, ollama.root.parents[1] / ".ollama")
    root = ollama.root.parents[1] / ".ollama" / "models"
    before = _look(root)
    assert "full:latest" in _run("--ollama", "list")
    assert "full:latest" not in _run("list")
    assert "F16" in _run("--ollama", "show", "plain")
    assert "full:latest" in _run("--ollama", "du")
    assert "plain" in _run("--ollama", "verify", "plain")
    assert _run(
        "--ollama", "run", "plain", "hello", "--max-tokens", "2", "--n-ctx", "256"
    )
    assert _look(root) == before


def test_OLLAMA_MODELS_names_the_store_for_ollama_too(
    ollama: OllamaWriter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALKIT_MODELS", str(tmp_path / "ours"))
    monkeypatch.setenv("OLLAMA_MODELS", str(ollama.root))
    assert "plain:f16" in _run("--ollama", "list")
    assert "plain:f16" not in _run("list")


def test_without_an_ollama_store_the_option_says_where_it_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "nowhere"))
    done = CliRunner().invoke(main, ["--ollama", "list"])
    assert done.exit_code == 1
    assert str(tmp_path / "nowhere") in done.stderr.replace("\n", "")
    assert "OLLAMA_MODELS" in done.stderr


def test_writing_into_an_ollama_store_when_asked_leaves_it_ollamas(
    ollama: OllamaWriter, weights: Path
) -> None:
    """What we add there, the other reader takes; what was there, it still does."""
    for name in ("torn", "gone", "big"):
        (ollama.root / "manifests" / HOME / name).joinpath(
            "cloud" if name == "big" else "latest"
        ).unlink()
    for path in (ollama.root / "blobs").glob("*-partial*"):
        path.unlink()
    (ollama.root / "manifests" / ".DS_Store").unlink()
    before = read_store(ollama.root)
    store = Store(ollama.root)
    assert store.add(weights, "ours:f16").method == "present"
    store.copy("full", "copied")
    after = read_store(ollama.root)
    assert set(after) - set(before) == {
        "registry.ollama.ai/library/ours:f16",
        "registry.ollama.ai/library/copied:latest",
    }
    assert {name: after[name] for name in before} == before
    store.remove("ours:f16")
    store.remove("copied")
    assert read_store(ollama.root) == before


def test_no_localkit_is_in_the_second_reader() -> None:
    for name in ("ollama_reader.py", "ollama_writer.py"):
        text = Path(__file__).with_name(name).read_text(encoding="utf-8")
        assert "from localkit" not in text
        assert "import localkit" not in text


def test_a_store_on_a_path_with_blanks_and_letters_of_any_script_works(
    tmp_path: Path, weights: Path
) -> None:
    store = Store(tmp_path / "my models – ü 模型")
    store.add(weights, "tiny:f16")
    assert [line.damaged for line in store.list()] == [None]
    assert read_store(store.root)
