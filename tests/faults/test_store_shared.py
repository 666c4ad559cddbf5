"""S11: stores that several users share, that may only be read, or without links."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localkit.store import Recipe, Store
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.faults

needs_root = pytest.mark.skipif(
    os.getuid() != 0, reason="only root can become another user"
)
_GROUP, _ANN, _BOB, _EVE = 4242, 5001, 5002, 65534

# Everything is imported before the user changes: the checkout may be closed to it.
_AS_USER = """
import os, sys
import filelock
from pathlib import Path
from localkit.cli import main
from localkit.errors import LocalkitError
from localkit.store import Recipe, Store
from localkit.store.headers import _record
_record()
root, uid, gid, umask, code = sys.argv[1:]
os.umask(int(umask, 8))
os.setgroups([]); os.setgid(int(gid)); os.setuid(int(uid))
store = Store(Path(root))
exec(code)
"""


def _as_user(
    store: Store, code: str, *, uid: int, gid: int = _GROUP, umask: str = "002"
) -> list[str]:
    """Run ``code`` as another user with the store as ``store``; return its lines."""
    arguments = (str(store.root), str(uid), str(gid), umask, code)
    done = subprocess.run(
        [sys.executable, "-c", _AS_USER, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that every user may look into; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def shared(open_folder: Path) -> Store:
    """Return a store that a group may write."""
    folder = open_folder / "shared"
    folder.mkdir()
    os.chown(folder, 0, _GROUP)
    folder.chmod(0o2775)
    return Store(folder / "models")


@needs_root
def test_S11_members_of_a_group_add_replace_and_remove_in_one_store(
    shared: Store, open_folder: Path
) -> None:
    files = [write_tiny_llama(open_folder / f"{i}.gguf", seed=i) for i in range(3)]
    for file in files:
        file.chmod(0o644)
    add = "store.add(Path('{}'), '{}')"
    _as_user(shared, add.format(files[0], "tiny:a"), uid=_ANN)
    # Bob replaces and Ann removes what the other brought in.
    both = (add.format(files[1], "tiny:b"), add.format(files[2], "tiny:a"))
    _as_user(shared, "; ".join(both), uid=_BOB)
    _as_user(
        shared,
        "store.remove('tiny:b'); store.copy('tiny:a', 'tiny:c'); store.prune()",
        uid=_ANN,
    )
    _as_user(shared, "assert all(check.ok for check in store.verify())", uid=_BOB)
    assert {str(line.ref): line.damaged for line in shared.list()} == {
        "tiny:a": None,
        "tiny:c": None,
    }
    assert all(check.ok for check in shared.verify())
    for path in shared.root.rglob("*"):
        stat = path.stat()
        assert stat.st_gid == _GROUP, path
        if path.is_dir():
            assert stat.st_mode & 0o070 == 0o070, path
        elif path.parent == shared.layout.blobs:
            assert stat.st_mode & 0o222 == 0, path


@needs_root
def test_S11_the_umask_decides_who_else_may_read(
    shared: Store, open_folder: Path
) -> None:
    file = write_tiny_llama(open_folder / "a.gguf")
    file.chmod(0o644)
    code = f"store.add(Path('{file}'), 'tiny:a')"
    _as_user(shared, code, uid=_ANN, umask="027")
    for path in (shared.layout.blobs, *(shared.root / "manifests").rglob("*")):
        assert path.stat().st_mode & 0o007 == 0, path


READING = {
    "resolve": "print(store.resolve('tiny:a').info.architecture)",
    "list": "print(store.list()[0].ref)",
    "verify": "print(all(check.ok for check in store.verify()))",
    "usage": "print(store.usage().total > 0)",
    "dry run": "print(store.prune(dry_run=True).freed)",
    "tags": "print(len(store.tags('tiny')))",
    "show": "print(store.resolve('tiny:a').licence)",
}
WRITING = {
    "add": "store.add(Path('{file}'), 'new:x')",
    "create": "store.create('n', Recipe(store.resolve('tiny:a'), system='x'))",
    "copy": "store.copy('tiny:a', 'new:x')",
    "remove": "store.remove('tiny:a')",
    "prune": "store.prune(grace_s=0)",
}


@pytest.fixture
def closed(open_folder: Path) -> Store:
    """Return a store that everybody may read and only root may write."""
    store = Store(open_folder / "models")
    store.add(write_tiny_llama(open_folder / "a.gguf"), "tiny:a")
    for path in (store.root, *store.root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return store


@needs_root
def test_S11_reading_works_where_nothing_may_be_written(closed: Store) -> None:
    before = sorted((str(p), p.lstat().st_mtime_ns) for p in closed.root.rglob("*"))
    said = _as_user(closed, "\n".join(READING.values()), uid=_EVE, gid=_EVE)
    assert dict(zip(READING, said, strict=True)) == {
        "resolve": "llama",
        "list": "tiny:a",
        "verify": "True",
        "usage": "True",
        "dry run": "0",
        "tags": "1",
        "show": "apache-2.0",
    }
    after = sorted((str(p), p.lstat().st_mtime_ns) for p in closed.root.rglob("*"))
    assert after == before


@needs_root
def test_S11_writing_where_nothing_may_be_written_says_what_to_change(
    closed: Store, open_folder: Path
) -> None:
    attempts = [
        f"try: {code.format(file=open_folder / 'a.gguf')}\n"
        "except LocalkitError as error: print(error.one_line())"
        for code in WRITING.values()
    ]
    said = _as_user(closed, "\n".join(attempts), uid=_EVE, gid=_EVE)
    for _, line in zip(WRITING, said, strict=True):
        assert str(closed.root) in line
        assert "LOCALKIT_HOME" in line
    assert [str(line.ref) for line in closed.list()] == ["tiny:a"]


@needs_root
def test_S11_a_store_that_may_not_even_be_read_is_said(closed: Store) -> None:
    (closed.root / "manifests").chmod(0o700)
    code = "try: store.list()\nexcept LocalkitError as error: print(error.one_line())"
    (said,) = _as_user(closed, code, uid=_EVE, gid=_EVE)
    assert "may not be read" in said
    assert "ask its owner" in said


def test_S11_a_file_system_without_links_of_any_kind_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    store = Store(tmp_path / "models")
    file = write_tiny_llama(tmp_path / "a.gguf")
    assert store.add(file, "tiny:a").method in {"copy", "reflink"}
    assert store.add(file, "tiny:b").method == "present"
    store.create("tiny:c", Recipe(weights=store.resolve("tiny:a"), system="x"))
    store.copy("tiny:c", "tiny:d")
    store.remove("tiny:a")
    store.prune(grace_s=0)
    assert [line.damaged for line in store.list()] == [None, None, None]
    assert all(check.ok for check in store.verify())
