"""S1 against docker's own registry: killed in the middle, the next pull goes on."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from localkit.store import ModelRef, Store
from localkit.store.layout import Layout
from localkit.store.registry.push import push
from localkit.store.registry.working import all_working
from tests.faults.pullers import running_pullers, weights
from tests.fixtures.docker_registry import DockerRegistry, docker_registry

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.faults

_MIB = 1 << 20
_SIZE = 48 * _MIB


def _bytes_sent(registry: DockerRegistry) -> int:
    """Return the bytes of blobs that the registry's own log says it sent."""
    log = registry.log.read_text(encoding="utf-8", errors="replace")
    found = re.findall(r'"GET /v2/\S*/blobs/\S* HTTP/1.1" 20[06] (\d+)', log)
    return sum(map(int, found))


def _settled(registry: DockerRegistry) -> int:
    """Return what it sent, once it has noticed who does not read any more."""
    sent = -1
    while sent != _bytes_sent(registry):
        sent = _bytes_sent(registry)
        time.sleep(0.1)
    return sent


def test_S1_killed_twice_a_pull_from_a_real_registry_goes_on_from_there(
    tmp_path: Path,
) -> None:
    theirs, layout = Store(tmp_path / "theirs"), Layout(tmp_path / "models")
    file = tmp_path / "big.gguf"
    file.write_bytes(weights(tmp_path, _SIZE))
    theirs.add(file, "big:f16")
    with (
        docker_registry(tmp_path / "registry") as registry,
        running_pullers() as pullers,
    ):
        ref = f"{registry.host}/library/big:f16"
        there = push(theirs.layout, ModelRef.parse("big:f16"), ModelRef.parse(ref))
        for share in (0.3, 0.6):
            killed = pullers.start(layout.root, ref, byte=int(share * _SIZE))
            assert killed.wait() == -signal.SIGKILL, killed.said
            assert Store(layout.root).list() == []
            (left,) = all_working(layout)
            assert left.n_written() >= share * _SIZE - 2 * _MIB
        kept, before = left.n_written(), _settled(registry)
        pullers.start(layout.root, ref).succeed()
        sent = _settled(registry) - before
        mine = Store(layout.root)
        assert mine.resolve(ref).digest == there.digest
        assert mine.resolve(ref).weights.read_bytes() == file.read_bytes()
        assert all(check.ok for check in mine.verify())
    size = sum(layer.size for layer in mine.resolve(ref).manifest.blobs())
    # Less than a kilobyte: the config, which came before the weights.
    assert size - kept - 1_000 <= sent <= size - kept
