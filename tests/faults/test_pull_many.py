"""S3, S4: many pull the same model at once; one downloads, and any may die."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from localkit.errors import StoreLocked
from localkit.io import processes
from localkit.io.atomic import make_folders
from localkit.io.locks import hold
from localkit.store import ModelRef, Store
from localkit.store.layout import Layout
from localkit.store.registry.download import download
from localkit.store.registry.limits import Limits
from localkit.store.registry.pull import pull
from localkit.store.registry.working import all_working
from tests.faults.pullers import Puller, Pullers, running_pullers, weights
from tests.fixtures.registry import LICENCE_TYPE, MODEL_TYPE, Faults, HostileRegistry
from tests.store.registry.in_memory import InMemoryBlob, random_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.events import Progress

pytestmark = pytest.mark.faults

_MIB = 1 << 20
_SIZE = 20 * _MIB


@pytest.fixture(scope="module")
def pullers() -> Iterator[Pullers]:
    with running_pullers() as pullers:
        yield pullers


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HostileRegistry]:
    with HostileRegistry() as server:
        for seed, tag in enumerate(("a", "x", "y", "z")):
            size = _SIZE if tag == "a" else _MIB
            data = weights(tmp_path, size, seed=seed)
            licence = f"Do good, {tag in 'xy'}.".encode()
            layers = [(MODEL_TYPE, data), (LICENCE_TYPE, licence)]
            server.add_model("library/tiny", tag, layers)
        yield server


def _size(server: HostileRegistry, tag: str = "a") -> int:
    manifest = json.loads(server.manifests["library/tiny", tag])
    layers = [manifest["config"], *manifest["layers"]]
    return sum(layer["size"] for layer in layers)


def _ref(server: HostileRegistry, tag: str = "a") -> str:
    return f"{server.host}/library/tiny:{tag}"


def _check_store(root: Path, server: HostileRegistry) -> None:
    store = Store(root)
    assert [str(line.ref) for line in store.list()] == [_ref(server)]
    assert all(check.ok for check in store.verify())
    assert store.resolve(_ref(server)).weights.stat().st_size == _SIZE
    assert not list((root / ".localkit" / "partial").iterdir())


@pytest.mark.parametrize("n_processes", [2, 8])
def test_S3_processes_that_pull_one_model_download_it_once(
    pullers: Pullers,
    server: HostileRegistry,
    tmp_path: Path,
    n_processes: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.faults = Faults(rate=20 * _MIB)
    root = tmp_path / "models"
    started = [pullers.start(root, _ref(server)) for _ in range(n_processes)]
    for puller in started:
        puller.succeed()
    assert len({puller.said for puller in started}) == 1
    ratio = server.blob_bytes_sent / _size(server)
    with capsys.disabled():
        sys.stdout.write(f"\n{n_processes} pullers: {ratio:.3f} times the bytes")
    assert ratio <= 1.05
    _check_store(root, server)


def test_S3_eight_threads_download_once_and_all_see_how_far_it_is(
    server: HostileRegistry, tmp_path: Path
) -> None:
    server.faults = Faults(rate=10 * _MIB)
    layout = Layout(tmp_path / "models")
    reports: list[list[Progress]] = [[] for _ in range(8)]
    failures: list[BaseException] = []

    def work(index: int) -> None:
        try:
            ref = ModelRef.parse(_ref(server))
            pull(layout, ref, on_progress=reports[index].append)
        except BaseException as error:  # shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert server.blob_bytes_sent <= 1.05 * _size(server)
    _check_store(layout.root, server)
    waiting = [
        [
            one.done
            for one in mine
            if one.step.startswith("waiting for process") and one.total == _SIZE
        ]
        for mine in reports
    ]
    followers = [done for done in waiting if len(done) > 3]
    assert len(followers) == 7
    for done in followers:
        assert done == sorted(done)
        assert 0 < done[-1] <= _SIZE


def _leader(layout: Layout) -> int | None:
    """Return the process that downloads."""
    for working in all_working(layout):
        found = processes.parse(
            working.folder.name.partition(".by-")[2].rpartition("-")[0]
        )
        if found is not None and working.n_written() > 0:
            return found.pid
    return None


def _wait_for(condition: object, *, at_most_s: float = 20.0) -> float:
    assert callable(condition)
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < at_most_s
        time.sleep(0.005)
    return time.monotonic() - begun


def test_S3_when_the_leader_is_killed_another_goes_on_within_two_seconds(
    pullers: Pullers,
    server: HostileRegistry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.faults = Faults(rate=4 * _MIB)
    layout = Layout(tmp_path / "models")
    started = [pullers.start(layout.root, _ref(server)) for _ in range(3)]
    _wait_for(lambda: server.blob_bytes_sent >= _SIZE // 2)
    leader = _leader(layout)
    (killed,) = [one for one in started if one.pid == leader]
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    server.faults = Faults()
    seconds = _wait_for(lambda: _leader(layout) not in {None, leader})
    with capsys.disabled():
        sys.stdout.write(f"\ntaken over after {seconds:.2f} s")
    assert seconds < 2.0
    for puller in started:
        if puller is not killed:
            puller.succeed()
    assert server.blob_bytes_sent <= _size(server) + 8 * _MIB
    _check_store(layout.root, server)


def test_S3_when_the_leader_gives_up_another_goes_on(tmp_path: Path) -> None:
    layout, data = Layout(tmp_path / "models"), random_bytes(100_000)
    limits = Limits(n_streams=2, part_size=9_000, n_tries=2, first_wait_s=0.01)
    # The first one's connection breaks for good while the second one waits.
    begun, failing = threading.Event(), InMemoryBlob(data)
    failing.on_piece = lambda _: begun.set()
    failing.drop_after = lambda n: 3_000 if n < 3 else 0
    sound = InMemoryBlob(data)
    failures: list[BaseException] = []

    def lead() -> None:
        try:
            download(layout, failing, limits=limits)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=lead)
    thread.start()
    begun.wait(10)
    assert download(layout, sound, limits=limits).read_bytes() == data
    thread.join()
    assert len(failures) == 1
    assert sound.n_sent <= len(data) - failing.n_sent + 10_000


@pytest.mark.parametrize("n_processes", [2, 8])
def test_S4_without_locks_bytes_may_double_but_nothing_breaks(
    pullers: Pullers, server: HostileRegistry, tmp_path: Path, n_processes: int
) -> None:
    server.faults = Faults(rate=40 * _MIB)
    root = tmp_path / "models"
    started = [
        pullers.start(root, _ref(server), locks=False) for _ in range(n_processes)
    ]
    for puller in started:
        puller.succeed()
    _check_store(root, server)


def test_S4_without_locks_the_dead_are_taken_over_and_the_living_are_not(
    pullers: Pullers, server: HostileRegistry, tmp_path: Path
) -> None:
    server.faults = Faults(rate=4 * _MIB)
    layout = Layout(tmp_path / "models")
    dead, alive = (
        pullers.start(layout.root, _ref(server), locks=False) for _ in range(2)
    )
    _wait_for(lambda: _both_write(layout, dead, alive))
    dead.kill()
    dead.wait()
    server.faults = Faults(rate=40 * _MIB)
    third = pullers.start(layout.root, _ref(server), locks=False)
    third.succeed()
    alive.succeed()
    assert server.blob_bytes_sent < 3 * _SIZE
    _check_store(layout.root, server)


def _both_write(layout: Layout, *pullers: Puller) -> bool:
    names = [one.folder.name for one in all_working(layout) if one.n_written() > _MIB]
    return all(any(f"-{one.pid}-" in name for name in names) for one in pullers)


def test_S4_a_lock_that_is_held_names_its_holder_at_once(tmp_path: Path) -> None:
    layout, blob = Layout(tmp_path / "models"), InMemoryBlob(random_bytes(1_000))
    make_folders(layout.partials)
    reports: list[tuple[float, Progress]] = []
    begun = time.monotonic()

    def report(progress: Progress) -> None:
        reports.append((time.monotonic() - begun, progress))

    with (
        hold(layout.partial(blob.digest, ".lock"), purpose="sleeping"),
        pytest.raises(StoreLocked) as refused,
    ):
        download(layout, blob, limits=Limits(takeover_s=0.3), on_progress=report)
    assert time.monotonic() - begun < 1.3
    assert f"process {os.getpid()} (sleeping)" in str(refused.value)
    first_s, first = reports[0]
    assert first_s < 1.0
    assert first.step == f"waiting for process {os.getpid()} (sleeping)"
    assert Limits().takeover_s == 60.0


def test_S4_a_leader_that_is_stopped_is_named_to_who_waits(
    pullers: Pullers, server: HostileRegistry, tmp_path: Path
) -> None:
    server.faults = Faults(rate=4 * _MIB)
    layout = Layout(tmp_path / "models")
    leader = pullers.start(layout.root, _ref(server))
    _wait_for(lambda: _leader(layout) == leader.pid)
    os.kill(leader.pid, signal.SIGSTOP)
    (working,) = all_working(layout)
    blob = InMemoryBlob(server.blobs[working.digest])
    with pytest.raises(StoreLocked, match=rf"by process {leader.pid} \(pulling\)"):
        download(layout, blob, limits=Limits(takeover_s=0.5))
    os.kill(leader.pid, signal.SIGCONT)
    server.faults = Faults()
    leader.succeed()
    _check_store(layout.root, server)


def _stress(
    pullers: Pullers, server: HostileRegistry, root: Path, seconds: float
) -> None:
    ref = f"{server.host}/library/tiny:v"
    for tag in "xyz":
        server.manifests["library/tiny", f"v-{tag}"] = server.manifests[
            "library/tiny", tag
        ]
    started = [
        pullers.start(root, ref, do="stress", seconds=seconds, seed=seed)
        for seed in range(4)
    ]
    for puller in started:
        assert puller.wait(seconds + 60) == 0, puller.said
        counts = json.loads(puller.said)
        assert min(counts.values()) > 0, counts
    store = Store(root)
    assert [line.damaged for line in store.list() if line.damaged] == []
    assert all(check.ok for check in store.verify())
    for line in store.list():
        assert store.resolve(line.ref).weights.stat().st_size == _MIB


def test_S9_pull_prune_load_and_remove_at_once_leave_no_damage(
    pullers: Pullers, server: HostileRegistry, tmp_path: Path
) -> None:
    _stress(pullers, server, tmp_path / "models", seconds=4)


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_S9_for_a_minute_pull_prune_load_and_remove_leave_no_damage(
    pullers: Pullers, server: HostileRegistry, tmp_path: Path
) -> None:
    _stress(pullers, server, tmp_path / "models", seconds=60)
