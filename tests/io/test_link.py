from __future__ import annotations

import fcntl
import hashlib
import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from localkit.errors import DiskFull, SourceNotFound, StoreError
from localkit.io import disk
from localkit.io.link import take

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.events import Progress

_DATA = b"weights" * 1000
_SHA256 = hashlib.sha256(_DATA).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(_DATA)
    path.chmod(0o640)
    return path


def _refuse(*_: object, **__: object) -> NoReturn:
    raise OSError("not here")


def _clone(target: int, _request: int, source: int) -> None:
    """Do what FICLONE does where the file system cannot."""
    os.write(target, os.pread(source, len(_DATA), 0))


def test_a_reflink_is_preferred(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "ioctl", _clone)
    taken = take(source, tmp_path / "target")
    assert taken == ("reflink", _SHA256, len(_DATA))
    assert not (tmp_path / "target").samefile(source)


def test_a_hard_link_leaves_the_mode_alone(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "ioctl", _refuse)
    taken = take(source, tmp_path / "target")
    assert taken == ("hardlink", _SHA256, len(_DATA))
    assert (tmp_path / "target").samefile(source)
    assert source.stat().st_mode & 0o777 == 0o640


def test_a_symbolic_link_is_followed_to_its_file(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "ioctl", _refuse)
    (tmp_path / "link").symlink_to(source)
    take(tmp_path / "link", tmp_path / "target")
    assert (tmp_path / "target").samefile(source)
    assert not (tmp_path / "target").is_symlink()


def test_a_copy_is_the_last_resort_and_hashed_on_the_way(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "ioctl", _refuse)
    monkeypatch.setattr(os, "link", _refuse)
    reports: list[Progress] = []
    taken = take(source, tmp_path / "target", on_progress=reports.append)
    assert taken == ("copy", _SHA256, len(_DATA))
    assert (tmp_path / "target").read_bytes() == _DATA
    assert {report.step for report in reports} == {"copying"}


def test_S2_a_copy_that_cannot_fit_is_refused_before_a_byte(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "ioctl", _refuse)
    monkeypatch.setattr(os, "link", _refuse)
    monkeypatch.setattr(disk, "free_bytes", lambda _: 10)
    with pytest.raises(DiskFull) as caught:
        take(source, tmp_path / "target")
    assert (caught.value.needed, caught.value.free) == (len(_DATA), 10)
    assert not (tmp_path / "target").exists()


def test_a_file_that_changes_while_it_is_read_is_refused(
    source: Path, tmp_path: Path
) -> None:
    def append(_: Progress) -> None:
        with source.open("ab") as stream:
            stream.write(b"more")

    with pytest.raises(StoreError, match="changed while"):
        take(source, tmp_path / "target", on_progress=append)


@pytest.mark.parametrize("kind", ["fifo", "folder", "missing", "loop", "nul"])
def test_S7_only_plain_files_are_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "nul":
        path = tmp_path / "a\0b"
    with pytest.raises(SourceNotFound):
        take(path, tmp_path / "target")


def test_S7_a_device_is_refused_without_reading_it(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="a device"):
        take(tmp_path.parent.joinpath("/dev/zero"), tmp_path / "target")
