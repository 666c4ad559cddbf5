"""S2: on a full disk, writing fails by name and changes nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from localkit.errors import DiskFull
from localkit.io import link
from localkit.store import Store
from tests.faults.disks import leave_free
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.faults

_N_LEVELS = 20


def _state(store: Store) -> dict[Path, bytes]:
    """Return every file that readers look at."""
    return {
        path: path.read_bytes()
        for tree in ("manifests", "blobs")
        for path in (store.root / tree).rglob("*")
        if path.is_file()
    }


def _refusal(store: Store, path: Path) -> DiskFull | None:
    try:
        store.add(path, "tiny:a")
    except DiskFull as error:
        return error
    return None


@pytest.mark.parametrize("checked_first", [True, False], ids=["checked", "unchecked"])
def test_S2_at_every_fill_level_all_or_nothing(
    small_disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checked_first: bool,
) -> None:
    """Unchecked: free space that another process takes after it was looked at."""
    if not checked_first:
        monkeypatch.setattr(link, "require_free", lambda *_: None)
    old = write_tiny_llama(tmp_path / "old.gguf", seed=1)
    new = write_tiny_llama(tmp_path / "new.gguf", seed=2)
    store = Store(small_disk / "models")
    assert store.add(old, "tiny:a").method == "copy"
    before = _state(store)
    size = new.stat().st_size
    n_full = 0
    for level in range(_N_LEVELS):
        leave_free(small_disk, level * (size + 40_960) // (_N_LEVELS - 1))
        refusal = _refusal(store, new)
        if refusal is not None:
            n_full += 1
            assert refusal.needed >= size
            assert refusal.free < size + 40_960
            assert _state(store) == before
            assert not list((store.root / ".localkit" / "staging").glob("*/*"))
        else:
            assert store.resolve("tiny:a").weights.read_bytes() == new.read_bytes()
            (small_disk / "filler").unlink()
            store.add(old, "tiny:a")
            assert _state(store) == before
    assert 10 <= n_full < _N_LEVELS
    (small_disk / "filler").unlink(missing_ok=True)
    store.add(new, "tiny:a")
    assert store.resolve("tiny:a").weights.read_bytes() == new.read_bytes()


def test_S2_removing_works_on_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    store = Store(small_disk / "models")
    receipt = store.add(write_tiny_llama(tmp_path / "a.gguf"), "tiny:a")
    leave_free(small_disk, 0)
    assert store.remove("tiny:a").freed >= receipt.size
    assert store.list() == []


def test_S2_a_limit_on_file_size_counts_as_a_full_disk(tmp_path: Path) -> None:
    """Where no disk may be mounted: the kernel refuses the write the same way."""
    old = write_tiny_llama(tmp_path / "old.gguf", seed=1)
    new = write_tiny_llama(tmp_path / "new.gguf", seed=2)
    store = Store(tmp_path / "models")
    store.add(old, "tiny:a")
    before = _state(store)
    code = (
        "import os, resource, sys\n"
        "from pathlib import Path\n"
        "from localkit.errors import DiskFull\n"
        "from localkit.store import Store\n"
        "def refuse(*_, **__): raise OSError\n"
        "os.link = refuse\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: Store(Path(sys.argv[1])).add(Path(sys.argv[2]), 'tiny:a')\n"
        "except DiskFull as error: print(error.needed)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.root), str(new)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == str(new.stat().st_size), done.stderr
    assert _state(store) == before
