"""G5: a crash that nobody knew happens to a child, once, and is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from localkit.config import settings
from localkit.errors import Cancelled, GGUFError, LoadFailed
from localkit.events import CancelToken, Progress
from localkit.gguf import read_info
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.isolation import child, proving
from localkit.runtime.isolation.isolated import IsolatedRuntime
from localkit.runtime.isolation.proving import ProvingRuntime, identity, prove, proved
from localkit.runtime.params import LoadParams
from tests.fixtures.encoder import tiny_encoder

pytestmark = pytest.mark.faults

PARAMS = LoadParams(n_ctx=256, n_threads=1)
_CRASHING = Path(__file__).with_name("crashing_engine")


@pytest.fixture(autouse=True)
def nothing_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "_here", set())


@pytest.fixture
def crashing_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let children find an engine that aborts on every file."""
    import llama_cpp  # noqa: F401  (this process keeps the true one)

    repository = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(_CRASHING), repository]))


@pytest.mark.usefixtures("crashing_engine")
@pytest.mark.parametrize("isolate", [False, True])
def test_G5_a_file_that_aborts_the_engine_is_a_typed_error_and_stays_unproved(
    tiny_gguf: Path, isolate: bool
) -> None:
    info, pid = read_info(tiny_gguf), os.getpid()
    inner = FakeRuntime()
    runtime = IsolatedRuntime() if isolate else ProvingRuntime(inner)
    start = time.monotonic()
    with pytest.raises(LoadFailed, match="SIGABRT") as caught:
        runtime.load(info, PARAMS)
    assert time.monotonic() - start <= 5
    assert info.name in str(caught.value)
    assert "nobody knows this one" in str(caught.value)
    assert os.getpid() == pid
    assert inner.loaded == []
    assert not proved(identity(tiny_gguf))


def test_a_file_is_tried_once_and_then_remembered_across_processes(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    run = proving.run_in_child

    def counted(name, request, **options):
        tries.append(name)
        return run(name, request, **options)

    monkeypatch.setattr(proving, "run_in_child", counted)
    info = read_info(tiny_gguf)
    reports: list[Progress] = []
    for _ in range(2):
        ProvingRuntime(FakeRuntime()).load(info, PARAMS, on_progress=reports.append)
        assert tries == ["prove"]
        monkeypatch.setattr(proving, "_here", set())  # as a new process
    assert reports[0].step == f"trying {info.name} in a child"
    (file,) = (settings().cache_dir / "proved").iterdir()
    assert info.name not in file.read_text()

    monkeypatch.setattr(proving.library, "version", lambda: "another engine")
    assert not proved(identity(tiny_gguf))


@pytest.mark.parametrize("content", ["", "{}", "[[[", '{"digest": 1}', "x" * 10_000])
def test_a_damaged_memory_of_what_was_proved_is_no_proof(
    tiny_gguf: Path, content: str
) -> None:
    digest = identity(tiny_gguf)
    file = settings().cache_dir / "proved" / f"{digest.replace(':', '-')}.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert not proved(digest)


def test_a_home_that_cannot_be_written_costs_a_try_in_each_process_only(
    tiny_gguf: Path,
) -> None:
    settings().cache_dir.parent.mkdir(parents=True, exist_ok=True)
    settings().cache_dir.write_text("a file where the folder should be")
    ProvingRuntime(FakeRuntime()).load(read_info(tiny_gguf), PARAMS)
    assert proved(identity(tiny_gguf))


def test_what_stands_for_a_file_changes_with_its_bytes(
    tmp_path: Path, tiny_gguf: Path
) -> None:
    path = tmp_path / "m.gguf"
    shutil.copy(tiny_gguf, path)
    before = identity(path)
    assert identity(path) == before
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\x7f")
    os.utime(path, ns=(1, 1))
    assert identity(path) != before
    blob = tmp_path / ("sha256-" + "a" * 64)
    path.rename(blob)
    assert identity(blob) == "sha256:" + "a" * 64


def test_a_damaged_file_is_refused_without_a_child(
    tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "run_in_child", None)
    path = tmp_path / "m.gguf"
    shutil.copy(tiny_gguf, path)
    info = read_info(path)
    path.write_bytes(tiny_gguf.read_bytes()[:-100])
    with pytest.raises(GGUFError):
        ProvingRuntime(FakeRuntime()).load(info, PARAMS)


def test_a_trial_can_be_stopped_and_proves_nothing(tiny_gguf: Path) -> None:
    stop = CancelToken()
    stop.cancel()
    with pytest.raises(Cancelled):
        prove(read_info(tiny_gguf), digest=identity(tiny_gguf), cancel=stop)
    assert not proved(identity(tiny_gguf))


def test_an_encoder_is_tried_by_embedding(tmp_path: Path) -> None:
    path = tmp_path / "encoder.gguf"
    path.write_bytes(tiny_encoder().build())
    prove(read_info(path), digest=identity(path))
    assert proved(identity(path))


def test_no_trial_leaves_a_process_behind(tiny_gguf: Path) -> None:
    prove(read_info(tiny_gguf), digest="file:x")
    listed = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "localkit.runtime.isolation.child" not in listed.stdout


def test_what_a_child_calls_an_error_is_never_more_than_an_error() -> None:
    for name in ("Path", "annotations", "ClassVar", "__builtins__", "Nothing"):
        error = {"type": name, "message": "m", "hint": "h", "fields": {}}
        assert type(child.revive(error)).__name__ == "RuntimeFailure"
