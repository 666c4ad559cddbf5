"""S2 and S10 for pull: a full disk changes nothing, and the order on disk is right."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localkit.errors import DiskFull
from localkit.store import ModelRef, Store
from localkit.store.layout import Layout
from localkit.store.registry import attempts
from localkit.store.registry.pull import pull
from localkit.store.registry.working import all_working
from tests.faults.disks import leave_free
from tests.faults.pullers import weights
from tests.fixtures.registry import LICENCE_TYPE, MODEL_TYPE, HostileRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.faults

_MIB = 1 << 20
_OLD, _NEW = 2 * _MIB, 5 * _MIB
_N_LEVELS = 12


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HostileRegistry]:
    with HostileRegistry() as server:
        for seed, (tag, size) in enumerate({"old": _OLD, "new": _NEW}.items()):
            data = weights(tmp_path, size, seed=seed)
            layers = [(MODEL_TYPE, data), (LICENCE_TYPE, tag.encode())]
            server.add_model("library/tiny", tag, layers)
        yield server


def _ref(server: HostileRegistry, tag: str) -> ModelRef:
    return ModelRef.parse(f"{server.host}/library/tiny:{tag}")


def _state(root: Path) -> dict[Path, bytes]:
    """Return every file that readers look at."""
    return {
        path: path.read_bytes()
        for tree in ("manifests", "blobs")
        for path in (root / tree).rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("checked_first", [True, False], ids=["checked", "unchecked"])
def test_S2_a_pull_that_does_not_fit_changes_nothing_and_goes_on_when_it_does(
    server: HostileRegistry,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    checked_first: bool,
) -> None:
    """Unchecked: free space that another process takes after it was looked at."""
    layout = Layout(small_disk / "models")
    store = Store(layout.root)
    pull(layout, _ref(server, "old"))
    before, n_full, most_kept = _state(layout.root), 0, 0
    for level in range(_N_LEVELS):
        leave_free(small_disk, level * (_NEW + 300_000) // (_N_LEVELS - 1))
        with monkeypatch.context() as patch:
            if not checked_first:
                patch.setattr(attempts, "require_free", lambda *_: None)
            full = _refusal(layout, _ref(server, "new"))
        kept = 0
        if full is not None:
            n_full += 1
            assert full.needed > full.free
            assert full.needed <= _NEW
            assert _state(layout.root) == before
            left = list(all_working(layout))
            kept = sum(one.n_written() for one in left)
            assert all(one.n_written() for one in left), "kept only to be gone on with"
        (small_disk / "filler").unlink()
        server.blob_bytes_sent, most_kept = 0, max(kept, most_kept)
        pull(layout, _ref(server, "new"))
        assert server.blob_bytes_sent <= _NEW + 10_000 - kept
        assert all(check.ok for check in store.verify())
        store.remove(_ref(server, "new"))
        assert _state(layout.root) == before
    assert 8 <= n_full < _N_LEVELS
    assert (most_kept > _MIB) is not checked_first


def _refusal(layout: Layout, ref: ModelRef) -> DiskFull | None:
    try:
        pull(layout, ref)
    except DiskFull as full:
        return full
    return None


def test_S10_a_pulled_file_is_flushed_then_named_then_its_folder_then_the_manifest(
    server: HostileRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[tuple[str, Path]] = []
    fsync, replace, link = os.fsync, os.replace, os.link
    layout = Layout(tmp_path / "models")

    def logged_fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        fsync(descriptor)
        log.append(("flush", path))

    def logged_replace(source: Path, target: Path) -> None:
        replace(source, target)
        log.extend([("from", Path(source)), ("to", Path(target))])

    def logged_link(source: Path, target: Path) -> None:
        link(source, target)
        log.append(("link", Path(target)))

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    monkeypatch.setattr(os, "link", logged_link)
    ref = _ref(server, "new")
    digest = pull(layout, ref).model.weights_digest

    whole, blob, manifest = (
        layout.partial(digest),
        layout.blob(digest),
        layout.manifest(ref),
    )
    at = log.index(("to", whole))
    data = log[at - 1][1]
    assert data.name == "data"
    assert log[at - 2] == ("flush", data), "all bytes, after the last was written"
    assert log[at + 1] == ("flush", layout.partials)
    named = log.index(("to", blob))
    assert named > at
    assert log[named - 2] == ("flush", log[named - 1][1])
    assert log[named + 1] == ("flush", layout.blobs)
    assert log.index(("to", manifest)) > named
    assert (
        log[-1] == ("flush", manifest.parent)
        or (
            "flush",
            manifest.parent,
        )
        in log[log.index(("to", manifest)) :]
    )
    # Journals claim as flushed only what was.
    journals = [i for i, (event, path) in enumerate(log) if path.name == "journal"]
    for index in journals:
        if log[index][0] == "flush":
            assert any(path.name == "data" for _, path in log[:index])
