"""`add`, `scan` and `export` in a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.lora import write_lora
from tests.fixtures.projector import write_tiny_projector
from tests.fixtures.splitting import split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from localkit.kit import Kit

    Run = Callable[..., Result]


def test_add_says_how_the_bytes_came_in_and_what_lay_beside(
    run: Run, tmp_path: Path
) -> None:
    file = write_tiny_llama(tmp_path / "seen-F16.gguf", seed=3)
    write_tiny_projector(tmp_path / "mmproj-seen.gguf")
    result = run("add", str(file))
    assert result.exit_code == 0, result.stderr
    assert "seen:f16: F16" in result.stdout
    assert "mmproj-seen.gguf beside it was taken" in result.stdout
    result = run("add", str(file), "plain", "--no-projector")
    assert "beside" not in result.stdout
    assert "was there already" in result.stdout


def test_add_merges_parts(run: Run, tmp_path: Path) -> None:
    whole = write_tiny_llama(tmp_path / "w.gguf", seed=3)
    parts = split(whole, tmp_path / "parts", "cut", n_parts=3)
    result = run("add", str(parts[1]))
    assert result.exit_code == 0, result.stderr
    assert "cut:f16" in result.stdout
    assert "merged 3 parts" in result.stdout


def test_add_an_adapter_of_a_model(run: Run, tmp_path: Path, kit: Kit) -> None:
    adapter = write_lora(tmp_path / "tales.gguf")
    refused = run("add", str(adapter))
    assert refused.exit_code == 1
    assert "--adapter-of" in refused.stderr
    result = run("add", str(adapter), "--adapter-of", "tiny:f16")
    assert result.exit_code == 0, result.stderr
    assert "tiny-tales:f16" in result.stdout
    assert len(kit.store.resolve("tiny-tales:f16").adapters) == 1
    run("add", str(adapter), "storyteller", "--adapter-of", "tiny")
    assert kit.store.resolve("storyteller").adapters


def test_add_a_folder_lists_its_models_and_all_adds_them(
    run: Run, tmp_path: Path, kit: Kit
) -> None:
    for seed in (3, 4):
        write_tiny_llama(tmp_path / f"model{seed}.gguf", seed=seed)
    refused = run("add", str(tmp_path))
    assert refused.exit_code == 1
    assert "model3.gguf (F16); model4.gguf (F16)" in refused.stderr
    assert "--all" in refused.stderr
    result = run("add", str(tmp_path), "--all")
    assert result.exit_code == 0, result.stderr
    refs = [str(listing.ref) for listing in kit.store.list()]
    assert refs == ["model3:f16", "model4:f16", "tiny:f16"]


@pytest.mark.parametrize(
    "words",
    [
        ("ref", "--all"),
        ("--all", "--adapter-of", "tiny"),
        ("--projector", "p.gguf", "--no-projector"),
        ("--adapter-of", "tiny", "--projector", "p.gguf"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    result = run("add", str(tmp_path), *words)
    assert result.exit_code == 1
    assert "leave" in result.stderr


def test_scan_lists_and_adds(run: Run, tmp_path: Path, kit: Kit) -> None:
    write_tiny_llama(tmp_path / "found.gguf", seed=5)
    (tmp_path / "broken.gguf").write_bytes(b"<html>")
    result = run("scan", str(tmp_path))
    assert result.exit_code == 0, result.stderr
    assert "found.gguf" in result.stdout
    assert "web page" in " ".join(result.stdout.split())
    assert "1 not stored yet" in result.stdout
    assert len(kit.store.list()) == 1
    result = run("scan", str(tmp_path), "--add")
    assert result.exit_code == 0, result.stderr
    assert "found:f16: F16" in result.stdout
    assert "not stored yet" not in run("scan", str(tmp_path)).stdout


def test_scan_of_nothing_says_where_it_looked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HF_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    assert "none of the folders" in run("scan").stdout
    (tmp_path / "empty").mkdir()
    assert "no models in" in run("scan", str(tmp_path / "empty")).stdout
    result = run("scan", str(tmp_path / "nowhere"))
    assert result.exit_code == 1
    assert "is not a folder" in result.stderr


def test_export_lists_what_it_wrote(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    result = run("export", "tiny:f16", str(folder))
    assert result.exit_code == 0, result.stderr
    assert "tiny-F16.gguf" in result.stdout
    assert (folder / "Modelfile").is_file()
    again = run("export", "tiny:f16", str(folder))
    assert again.exit_code == 1
    assert "--force" in again.stderr
    assert run("export", "tiny:f16", str(folder), "--force").exit_code == 0
