from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from localkit.errors import GGUFError
from localkit.gguf import checked
from localkit.gguf.checked import check_once
from localkit.gguf.preflight import check
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Collect the paths that are really checked."""
    found: list[Path] = []

    def counted(path: Path) -> None:
        found.append(path)
        check(path)

    monkeypatch.setattr("localkit.gguf.checked.check", counted)
    return found


def test_a_sound_file_is_read_once(tmp_path: Path, reads: list[Path]) -> None:
    model = write_tiny_llama(tmp_path / "m.gguf")
    for _ in range(3):
        check_once(model)
    check_once(str(model))
    assert reads == [model]


def test_a_file_that_changed_is_read_again(tmp_path: Path, reads: list[Path]) -> None:
    model = write_tiny_llama(tmp_path / "m.gguf")
    check_once(model)
    sound, stat = model.read_bytes(), model.stat()
    model.write_bytes(sound.replace(b"llama.block_count", b"llama.block_cownt"))
    os.utime(model, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # size and date the same
    with pytest.raises(GGUFError, match="block_count"):
        check_once(model)
    replacement = tmp_path / "other.gguf"
    replacement.write_bytes(sound)
    replacement.rename(model)
    check_once(model)
    assert len(reads) == 3


def test_what_was_refused_is_refused_again(tmp_path: Path, reads: list[Path]) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"no model at all")
    for _ in range(2):
        with pytest.raises(GGUFError, match="is not a GGUF"):
            check_once(model)
    assert len(reads) == 2


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    model = write_tiny_llama(tmp_path / "m.gguf")
    check_once(model)
    model.unlink()
    with pytest.raises(GGUFError, match=r"there is no file .*m\.gguf"):
        check_once(model)


def test_only_so_many_are_remembered(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked, "_MOST", 2)
    monkeypatch.setattr(checked, "_sound", {})
    files = [write_tiny_llama(tmp_path / f"{i}.gguf") for i in range(3)]
    for file in (*files, *files[1:]):
        check_once(file)
    assert reads == files
