"""S1: killed at any step, a store holds only complete models."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localkit.store import Store
from tests.faults.dying_writer import change
from tests.fixtures.gguf import write_tiny_llama

pytestmark = pytest.mark.faults

_N_KILLS = 25
_ALLOWED = {
    "m:one": {"a", "b"},
    "m:two": {"a"},
    "m:three": {"c"},
    "m:four": {"c"},
    "m:five": {"c"},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for seed, name in enumerate("abc"):
        write_tiny_llama(folder / f"{name}.gguf", seed=seed)
    return folder


def _run(root: Path, files: Path, step: int) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).with_name("dying_writer.py")
    repository = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, str(script), str(root), str(files), str(step)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(repository), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_S1_killed_at_any_step_every_listed_model_is_complete(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unharmed = _run(tmp_path / "unharmed", files, 0)
    assert unharmed.returncode == 0, unharmed.stderr
    n_steps = int(unharmed.stdout)
    assert n_steps > 100
    expected = {
        path.name: path.read_bytes()
        for path in (tmp_path / "unharmed" / "models" / "blobs").iterdir()
    }
    sources = {path.stem: path.read_bytes() for path in files.iterdir()}
    for step in sorted(random.Random(1).sample(range(1, n_steps + 1), _N_KILLS)):
        root = tmp_path / f"killed-{step}"
        killed = _run(root, files, step)
        assert killed.returncode == -signal.SIGKILL, (step, killed.stderr)
        store = Store(root / "models")
        for line in store.list():
            assert line.damaged is None, step
            data = store.resolve(line.ref).weights.read_bytes()
            assert any(data == sources[s] for s in _ALLOWED[str(line.ref)]), step
        assert all(check.ok for check in store.verify()), step

        change(store, files)
        assert {str(line.ref) for line in store.list()} == set(_ALLOWED) - {"m:two"}
        with monkeypatch.context() as patch:
            patch.setattr("time.time", lambda: time.time_ns() / 1e9 + 1e6)
            store.prune(grace_s=0)
        blobs = store.root / "blobs"
        assert {p.name: p.read_bytes() for p in blobs.iterdir()} == expected, step
        assert not list((store.root / ".localkit" / "staging").iterdir()), step


def test_S1_files_in_the_making_are_left_alone_for_a_day(
    tmp_path: Path, tiny_gguf: Path
) -> None:
    store = Store(tmp_path / "models")
    with store.staging() as path:
        path.write_bytes(b"in the making")
        store.add(tiny_gguf)
        store.prune(grace_s=0)
        assert path.read_bytes() == b"in the making"
