"""S1 for pull: killed at any byte or step, the next pull goes on from there.

40 kills here; all 200: ``pytest -m thorough tests/faults/test_pull_kill.py``.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from localkit.store import Store
from localkit.store.layout import Layout
from localkit.store.registry.working import all_working
from tests.faults.pullers import Puller, Pullers, running_pullers, weights
from tests.fixtures.registry import LICENCE_TYPE, MODEL_TYPE, Faults, HostileRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.faults

_MIB = 1 << 20
_SIZE = 20 * _MIB
_MOST_WASTE = 8 * _MIB
_SEED = 4


@pytest.fixture(scope="module")
def pullers() -> Iterator[Pullers]:
    with running_pullers() as pullers:
        yield pullers


@dataclass
class Registry:
    server: HostileRegistry
    ref: str
    files: dict[str, bytes]
    """Bytes of every blob."""

    @property
    def size(self) -> int:
        return sum(len(data) for data in self.files.values())


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with HostileRegistry() as server:
        data = weights(tmp_path_factory.mktemp("weights"), _SIZE)
        server.add_model(
            "library/tiny", "a", [(MODEL_TYPE, data), (LICENCE_TYPE, b"Do good.")]
        )
        yield Registry(server, f"{server.host}/library/tiny:a", dict(server.blobs))


def _kill_at_byte(server: HostileRegistry, puller: Puller, n_bytes: int) -> None:
    while server.blob_bytes_sent < n_bytes and not puller.ended.is_set():
        time.sleep(0.0005)
    puller.kill()


def _n_steps(pullers: Pullers, registry: Registry, root: Path) -> int:
    """Return how many steps a pull has, by halving: the last that one dies at."""
    low, high = 1, 2_000
    while high - low > 8:
        middle = (low + high) // 2
        puller = pullers.start(root / str(middle), registry.ref, step=middle)
        low, high = (middle, high) if puller.wait() < 0 else (low, middle)
    return low


def _kills(
    n_kills: int, pullers: Pullers, registry: Registry, folder: Path
) -> list[int]:
    """Kill and recover so often; return the bytes that each kill wasted.

    Wasted is what the registry sent and the next pull loads again.
    """
    chance = random.Random(_SEED)
    n_steps = _n_steps(pullers, registry, folder / "counting")
    assert n_steps > 50
    server = registry.server
    waste: list[int] = []
    expected = {name.replace(":", "-"): data for name, data in registry.files.items()}
    n_pulls = 0
    while len(waste) < n_kills:
        n_pulls += 1
        root = folder / f"pull-{n_pulls}"
        store = Store(root)
        for _ in range(chance.choice([1, 1, 1, 2])):
            sent, kept = server.blob_bytes_sent, _kept(root, registry)
            # Slow enough that the kill comes before the end.
            server.faults = Faults(rate=chance.choice([20, 60, 200]) * _MIB)
            if chance.random() < 0.4:
                step = chance.randrange(1, n_steps)
                killed = pullers.start(root, registry.ref, step=step)
            else:
                killed = pullers.start(root, registry.ref)
                at = sent + chance.randint(0, registry.size - kept)
                _kill_at_byte(server, killed, at)
            assert killed.wait() in {0, -signal.SIGKILL}, killed.said
            for line in store.list():
                assert line.damaged is None
                assert store.resolve(line.ref).weights.stat().st_size == _SIZE
            assert all(check.ok for check in store.verify())
            if killed.code:
                came = _kept(root, registry) - kept
                waste.append(_settled(server) - sent - came)
        sent, kept = server.blob_bytes_sent, _kept(root, registry)
        server.faults = Faults()
        pullers.start(root, registry.ref).succeed()
        assert server.blob_bytes_sent - sent == registry.size - kept
        assert [str(line.ref) for line in store.list()] == [registry.ref]
        found = {path.name: path.read_bytes() for path in (root / "blobs").iterdir()}
        assert found == expected
        # A process killed after its commit could not tidy up; a day later:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("time.time", lambda: time.time_ns() / 1e9 + 1e6)
            store.prune()
        assert not list((root / ".localkit" / "partial").iterdir())
    return waste


def _kept(root: Path, registry: Registry) -> int:
    """Return the bytes that a pull need not load again."""
    layout, n_bytes = Layout(root), 0
    for digest, data in registry.files.items():
        if layout.blob(digest).exists() or layout.partial(digest).exists():
            n_bytes += len(data)
        else:
            left = all_working(layout, digest)
            n_bytes += max((working.n_written() for working in left), default=0)
    return n_bytes


def _settled(server: HostileRegistry) -> int:
    """Return what was sent, once the server has noticed that nobody reads."""
    sent = -1
    while sent != server.blob_bytes_sent:
        sent = server.blob_bytes_sent
        time.sleep(0.02)
    return sent


def _check(waste: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        worst, median = max(waste), sorted(waste)[len(waste) // 2]
        sys.stdout.write(
            f"\n{len(waste)} of {len(waste)} kills recovered; wasted by each: "
            f"median {median / _MIB:.2f} MiB, worst {worst / _MIB:.2f} MiB"
        )
    assert max(waste) <= _MOST_WASTE


def test_S1_a_pull_killed_at_any_byte_or_step_goes_on_from_there(
    pullers: Pullers,
    registry: Registry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _check(_kills(40, pullers, registry, tmp_path), capsys)


@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_S1_two_hundred_kills_of_a_pull(
    pullers: Pullers,
    registry: Registry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _check(_kills(200, pullers, registry, tmp_path), capsys)
