"""S6: no ref, tag or digest leads out of the store."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localkit.errors import LocalkitError, ManifestInvalid, RefError
from localkit.store import ModelRef, Store
from localkit.store.digest import is_digest
from localkit.store.layout import Layout
from localkit.store.manifest import parse_manifest
from tests.fixtures.gguf import write_tiny_llama

_GOOD = "sha256:" + "a" * 64

ATTACKS = {
    "empty": "",
    "dot": ".",
    "dot dot": "..",
    "parent": "../../etc/passwd",
    "parent as tag": "model:..",
    "parent as namespace": "../model",
    "parent as host": "../library/model",
    "parent in the middle": "host/../model",
    "absolute": "/etc/passwd",
    "home": "~/model",
    "slash in the tag": "model:a/b",
    "four parts": "a/b/c/d",
    "empty namespace": "host//model",
    "empty tag": "model:",
    "empty host": "/library/model",
    "two tags": "model:a:b",
    "backslash": "..\\model",
    "drive": "C:\\model",
    "drive as host": "C:/library/model",
    "unc": "\\\\server\\share",
    "device": "con",
    "device with an ending": "nul.txt",
    "device as tag": "model:COM1",
    "device with a stream": "aux:80/library/model",
    "trailing dot": "model.",
    "nul": "model\0",
    "newline": "model\n",
    "newline after the tag": "model:tag\n",
    "carriage return": "model\r",
    "space": "my model",
    "option": "-rf",
    "hidden": ".localkit",
    "percent": "%2e%2e%2fmodel",
    "one megabyte": "a" * (1 << 20),
    "eighty-one": "a" * 81,
    "fullwidth dots": "\uff0e\uff0e\uff0fmodel",
    "look-alike letter": "sm\u043ellm2",
    "division slash": "a\u2215b",
    "right to left": "model\u202egnp",
    "zero width": "mo\u200bdel",
    "arabic digit": "٣model",
    "superscript digit": "²model",
    "short digest": "model@sha256:abc",
    "upper-case digest": "model@sha256:" + "A" * 64,
    "digest with a newline": f"model@{_GOOD}\n",
    "digest as a path": "model@sha256:../../../../etc/passwd",
    "other hash": "model@sha512:" + "a" * 64,
    "empty digest": "model@",
    "two digests": f"model@{_GOOD}@{_GOOD}",
}


def _tree(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(p), p.lstat().st_mtime_ns) for p in folder.rglob("*"))


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS.keys())
def test_S6_refused_before_the_file_system_is_touched(
    text: str, tmp_path: Path, tiny_gguf: Path
) -> None:
    (tmp_path / "outside").write_bytes(b"precious")
    store = Store(tmp_path / "models")
    before = _tree(tmp_path)
    for attempt in (
        lambda: store.resolve(text),
        lambda: store.remove(text),
        lambda: store.tags(text),
        lambda: store.verify(text),
        lambda: store.add(tiny_gguf, text),
    ):
        with pytest.raises(RefError) as caught:
            attempt()
        assert len(caught.value.one_line()) < 400
        assert caught.value.one_line().isprintable()
    assert _tree(tmp_path) == before


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256:" + "a" * 63,
        "sha256:" + "A" * 64,
        _GOOD + "\n",
        "sha256-" + "a" * 64,
        "sha256:../../../../../../etc/passwd",
        "sha256:" + "a" * 61 + "/..",
        "sha256:" + "٣" * 64,
    ],
)
def test_S6_a_wrong_digest_becomes_no_path(digest: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for path in (layout.blob, layout.record):
        with pytest.raises(RefError):
            path(digest)
    with pytest.raises(ManifestInvalid):
        parse_manifest(
            b'{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.'
            b'manifest.v2+json","config":{"mediaType":"x","digest":'
            + repr(digest).replace("'", '"').encode()
            + b',"size":1},"layers":[]}',
            name="model",
        )


_PIECES = st.sampled_from(
    ["..", ".", "/", "\\", ":", "@", "sha256:", "a" * 64, "~", "\0", "\n", "con", "C:"]
)
_TEXTS = st.text(max_size=60) | st.lists(
    _PIECES | st.text(alphabet="abZ09_.-:/", max_size=12), max_size=8
).map("".join)


@settings(max_examples=1000, deadline=None)
@given(_TEXTS)
def test_S6_every_text_is_refused_or_stays_inside(text: str) -> None:
    _is_refused_or_stays_inside(text)


def _is_refused_or_stays_inside(text: str) -> bool:
    """Check what a text becomes; return whether it became a ref."""
    root = Path("/store")
    try:
        ref = ModelRef.parse(text)
    except RefError:
        return False
    path = Layout(root).manifest(ref.with_tag(ref.tag or "latest"))
    inside = path.relative_to(root / "manifests")
    assert len(inside.parts) == 4
    assert ".." not in inside.parts
    assert path == Path(*path.parts)
    assert path.resolve() == path
    assert str(ref.with_tag(ref.tag)).isascii()
    assert ModelRef.parse(str(ref)) == ref
    return True


# What a name may hold, and what has led out of one somewhere before.
_HOSTILE = (
    *"\0\n\r\t \\/:@.~-+%*?<>|\"'$`;&#!",
    "..",
    "../",
    "..\\",
    "/etc/passwd",
    "C:",
    "\\\\?\\",
    "con",
    "NUL",
    "aux.txt",
    "COM1",
    "sha256:",
    "sha256-",
    _GOOD,
    _GOOD.upper(),
    "%2e%2e%2f",
    "\uff0e\uff0e",
    "\u2215",
    "\u202e",
    "\u200b",
    "\ud800",
    "é",
    "\u0435",
    "²",
    "http://",
    "https://",
    "file://",
    ".localkit",
    "blobs",
    "a" * 79,
    "a" * 81,
    "b" * 351,
)
_NAMES = (
    "smollm2",
    "smollm2:q4_k_m",
    "library/smollm2:latest",
    "hf.co/Org/Model-GGUF:Q4_K_M",
    "127.0.0.1:5000/a/b:c",
    f"model:tag@{_GOOD}",
)


def _hostile_text(chance: random.Random) -> str:
    """Return a name with one to four hostile pieces put in, over or around it."""
    text = chance.choice(_NAMES)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(text) + 1)
        end = min(len(text), at + chance.choice((0, 0, 1, 4)))
        text = text[:at] + chance.choice(_HOSTILE) + text[end:]
    return text


def test_S6_a_hundred_thousand_hostile_refs_never_leave_the_store() -> None:
    chance = random.Random(6)
    n_refs = sum(
        _is_refused_or_stays_inside(_hostile_text(chance)) for _ in range(10**5)
    )
    # Most are refused, and enough are names after all to have tested the paths.
    assert 2_000 < n_refs < 50_000


def test_S6_hostile_names_on_the_disk_are_passed_over(
    tmp_path: Path, tiny_gguf: Path
) -> None:
    """Whatever lies in the folders, no file becomes a ref that leads elsewhere."""
    store = Store(tmp_path / "models")
    manifest = store.add(tiny_gguf, "good:tag")
    top = store.root / "manifests"
    data = (top / "registry.ollama.ai" / "library" / "good" / "tag").read_bytes()
    for piece in _HOSTILE:
        for parts in (
            (piece, "library", "m", "t"),
            ("host", piece, "m", "t"),
            ("host", "library", piece, "t"),
            ("host", "library", "m", piece),
        ):
            if any("/" in part or "\0" in part or "\ud800" in part for part in parts):
                continue
            if {".", ".."} & set(parts):
                continue
            path = top.joinpath(*parts)
            with suppress(OSError):  # a name too long for the file system
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    for line in store.list():
        ref = line.ref
        assert _is_refused_or_stays_inside(str(ref))
        assert line.damaged is None
        assert store.resolve(ref).weights == manifest.model.weights


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"sha256[:-][0-9a-fA-F]{62,66}\n?"))
def test_S6_every_digest_is_refused_or_stays_inside(text: str) -> None:
    try:
        path = Layout(Path("/store")).blob(text)
    except RefError:
        assert not is_digest(text)
        return
    assert path.parent == Path("/store/blobs")


@pytest.mark.parametrize("level", ["registry.ollama.ai", "library", "evil"])
def test_S6_a_linked_folder_leads_nowhere(
    level: str, tmp_path: Path, tiny_gguf: Path
) -> None:
    store = Store(tmp_path / "models")
    outside = tmp_path / "outside"
    elsewhere = Store(outside / "store")
    elsewhere.add(tiny_gguf, "evil:tag")
    parts = ["registry.ollama.ai", "library", "evil"]
    depth = parts.index(level)
    source = outside.joinpath("store", "manifests", *parts[: depth + 1])
    link = store.root.joinpath("manifests", *parts[: depth + 1])
    link.parent.mkdir(parents=True)
    link.symlink_to(source, target_is_directory=True)
    before = _tree(outside)
    assert store.list() == []
    for attempt in (
        lambda: store.resolve("evil:tag"),
        lambda: store.add(tiny_gguf, "evil:tag"),
        lambda: store.remove("evil:tag"),
    ):
        with pytest.raises(RefError, match="is a link"):
            attempt()
    assert _tree(outside) == before


def test_S6_a_linked_manifest_is_not_read(tmp_path: Path, tiny_gguf: Path) -> None:
    store = Store(tmp_path / "models")
    receipt = store.add(tiny_gguf, "good:tag")
    secret = tmp_path / "secret"
    secret.write_text("precious", encoding="utf-8")
    folder = store.root / "manifests" / "registry.ollama.ai" / "library" / "good"
    (folder / "evil").symlink_to(secret)
    assert [line.ref for line in store.list()] == [receipt.model.ref]
    with pytest.raises(LocalkitError) as caught:
        store.resolve("good:evil")
    assert "precious" not in caught.value.one_line()


def test_S6_one_digest_in_two_cases_is_one_model(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    first = write_tiny_llama(tmp_path / "a.gguf", seed=1)
    second = write_tiny_llama(tmp_path / "b.gguf", seed=2)
    store.add(first, "Model:Tag")
    store.add(second, "mODEL:tAG")
    assert [str(line.ref) for line in store.list()] == ["Model:Tag"]
