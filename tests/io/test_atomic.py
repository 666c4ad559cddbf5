from __future__ import annotations

import os
from pathlib import Path

import pytest

from localkit.io.atomic import publish, write_atomic


def test_creates_missing_folders_and_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file"
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"


def test_replaces_and_leaves_nothing_else_behind(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failing_rename_keeps_the_old_file_and_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no")

    target = tmp_path / "file"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_unfinished_file_lies_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    replace = os.replace

    def spy(source: Path, target: Path) -> None:
        seen.append(Path(source).parent)
        replace(source, target)

    staging = tmp_path / "staging"
    staging.mkdir()
    monkeypatch.setattr(os, "replace", spy)
    write_atomic(tmp_path / "file", b"new", unfinished_in=staging)
    assert seen == [staging]


def test_publish_moves(tmp_path: Path) -> None:
    finished = tmp_path / "finished"
    finished.write_bytes(b"data")
    publish(finished, tmp_path / "folder" / "name")
    assert not finished.exists()
    assert (tmp_path / "folder" / "name").read_bytes() == b"data"
