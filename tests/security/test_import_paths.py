"""S7: paths that are no plain files are refused at once, and never read."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localkit.errors import GGUFError, LocalkitError, SourceNotFound
from localkit.gguf import read_header
from localkit.kit import Kit
from localkit.store.importing.bring import bring_in, bring_in_adapter
from localkit.store.layout import Layout
from localkit.store.modelfile.modelfile import parse
from localkit.store.modelfile.resolving import recipe_of
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.store.stored import StoredModel


def _loop(folder: Path) -> Path:
    (folder / "loop.gguf").symlink_to("other.gguf")
    (folder / "other.gguf").symlink_to("loop.gguf")
    return folder / "loop.gguf"


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.gguf")
    return folder / "pipe.gguf"


def _link_to_fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    (folder / "model.gguf").symlink_to("pipe")
    return folder / "model.gguf"


def _socket(folder: Path) -> Path:
    # The path of a socket may have 108 bytes; a temporary folder's is longer.
    here = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("s.gguf")
    finally:
        os.chdir(here)
    return folder / "s.gguf"


def _empty_folder(folder: Path) -> Path:
    (folder / "folder.gguf").mkdir()
    return folder / "folder.gguf"


def _environ(_: Path) -> Path:
    return Path("/proc/self/environ")


def _link_to_environ(folder: Path) -> Path:
    (folder / "model.gguf").symlink_to("/proc/self/environ")
    return folder / "model.gguf"


def _endless(_: Path) -> Path:
    return Path("/dev/random")


def _zero(_: Path) -> Path:
    return Path("/dev/zero")


def _terminal(_: Path) -> Path:
    return Path("/dev/tty")


def _nothing(folder: Path) -> Path:
    return folder / "nothing.gguf"


def _nul(_: Path) -> Path:
    return Path("model\0.gguf")


def _too_long(folder: Path) -> Path:
    return folder / ("x" * 5000)


HOSTILE = [
    _loop,
    _fifo,
    _link_to_fifo,
    _socket,
    _empty_folder,
    _environ,
    _link_to_environ,
    _endless,
    _zero,
    _terminal,
    _nothing,
    _nul,
    _too_long,
]


@pytest.fixture
def base(tmp_path: Path) -> StoredModel:
    layout = Layout(tmp_path / "base")
    return bring_in(layout, write_tiny_llama(tmp_path / "base.gguf")).model


def bytes_read() -> int:
    """Return what this process has read of anything, as Linux counts it."""
    for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines():
        if line.startswith("rchar:"):
            return int(line.split()[1])
    raise AssertionError


@pytest.mark.parametrize(
    ("make", "way"),
    [
        (make, way)
        for make in HOSTILE
        for way in ("add", "projector", "adapter", "FROM", "ADAPTER")
        # A line of a Modelfile cannot hold NUL.
        if make is not _nul or way.islower()
    ],
)
def test_S7_what_is_no_plain_file_is_refused_within_100_ms_unread(
    make: Callable[[Path], Path], way: str, tmp_path: Path, base: StoredModel
) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    path = make(folder)
    layout = Layout(tmp_path / "models")
    good = tmp_path / "base.gguf"

    def from_modelfile(text: str) -> None:
        with recipe_of(
            layout, parse(text), folder=folder, find=lambda _: base
        ) as recipe:
            Kit().store.create("x:y", recipe)

    ways: dict[str, Callable[[], object]] = {
        "add": lambda: bring_in(layout, path),
        "projector": lambda: bring_in(layout, good, projector=path),
        "adapter": lambda: bring_in_adapter(layout, path, base),
        "FROM": lambda: from_modelfile(f"FROM {path}"),
        "ADAPTER": lambda: from_modelfile(f"FROM {good}\nADAPTER {path}"),
    }
    # What is imported on the way counts neither as time nor as reading.
    with pytest.raises(LocalkitError):
        ways[way]()
    # Reading the count counts itself.
    overhead = -(bytes_read() - bytes_read())
    started, before = time.perf_counter(), bytes_read()
    with pytest.raises(LocalkitError) as caught:
        ways[way]()
    read, seconds = bytes_read() - before - overhead, time.perf_counter() - started
    assert seconds < 0.1
    # The good model's header may be read, a whole chunk at a time, and nothing else.
    times, rest = divmod(read, good.stat().st_size)
    assert rest == 0
    assert times <= (3 if way in {"projector", "adapter", "ADAPTER"} else 0)
    assert "PATH=" not in str(caught.value)
    assert not layout.root.exists()


@pytest.mark.parametrize("make", [_environ, _link_to_environ])
def test_S7_a_file_of_proc_is_refused_by_the_header_reader_unread(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    with pytest.raises(GGUFError, match="empty"):
        read_header(make(tmp_path))


def test_S7_a_way_up_leads_to_a_model_or_to_nothing(tmp_path: Path) -> None:
    """``..`` is allowed on the command line: it is the user's own machine."""
    layout = Layout(tmp_path / "models")
    (tmp_path / "inner").mkdir()
    write_tiny_llama(tmp_path / "model.gguf")
    receipt = bring_in(layout, tmp_path / "inner" / ".." / "model.gguf")
    assert str(receipt.model.ref) == "model:f16"
    with pytest.raises(SourceNotFound):
        bring_in(layout, tmp_path / "inner" / ".." / ".." / "nothing.gguf")


def test_S7_text_files_are_refused_after_their_first_bytes(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "models")
    with pytest.raises(GGUFError, match="not a GGUF") as caught:
        bring_in(layout, Path("/etc/passwd"))
    assert "root:x" not in str(caught.value)
    assert not layout.root.exists()
