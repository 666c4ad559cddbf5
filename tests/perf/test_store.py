"""Pulling a blob against ``curl | sha256sum`` on the same server, in turns.

Ours also writes the file, and flushes it to the disk. ``make perf``, or
``pytest tests/perf/test_store.py -m perf -s``.
"""

from __future__ import annotations

import hashlib
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from localkit.store.layout import Layout
from localkit.store.manifest import MODEL_TYPE, Layer
from localkit.store.registry.blob import HttpBlob
from localkit.store.registry.client import Registry
from localkit.store.registry.download import download

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.perf, pytest.mark.timeout(600)]

_MIB = 1 << 20
_SIZE = 384 * _MIB
_LEAST = 0.9
_MOST_RSS = 32 * _MIB


@pytest.fixture(scope="module")
def blob_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "blob"
    with path.open("wb") as stream:
        for seed in range(_SIZE // (8 * _MIB)):
            # Not random, only incompressible: it is made faster.
            block = hashlib.shake_128(seed.to_bytes(4, "big")).digest(64 << 10)
            stream.write(block * 128)
    return path


@pytest.fixture(scope="module")
def host(blob_file: Path) -> Iterator[str]:
    script = Path(__file__).with_name("file_server.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(blob_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        yield f"127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


def _theirs_s(host: str, tool: str, digest: str) -> float:
    command = f"curl -s http://{host}/v2/library/x/blobs/{digest} | {tool}"
    begun = time.perf_counter()
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=True
    )
    seconds = time.perf_counter() - begun
    assert digest.removeprefix("sha256:") in done.stdout
    return seconds


class _Rss:
    """The most memory that this process had above what it began with."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._begun = self._process.memory_info().rss
        self._over = threading.Event()
        self.growth = 0
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Rss:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            rss = self._process.memory_info().rss
            self.growth = max(self.growth, rss - self._begun)


def _ours_s(host: str, digest: str, folder: Path) -> float:
    layout = Layout(folder)
    layer = Layer(media_type=MODEL_TYPE, digest=digest, size=_SIZE)
    begun = time.perf_counter()
    with Registry(host) as registry:
        download(layout, HttpBlob(registry, "library/x", layer))
    seconds = time.perf_counter() - begun
    shutil.rmtree(folder)
    return seconds


def test_a_pull_is_as_fast_as_curl_and_sha256sum_and_memory_stays_flat(
    host: str, blob_file: Path, tmp_path: Path, n_rounds: int
) -> None:
    with blob_file.open("rb") as stream:
        digest = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    _ours_s(host, digest, tmp_path / "models")  # imports, page cache
    ratios, fast_ratios, seconds = [], [], []
    growth = 0
    for _ in range(n_rounds):
        pair = []
        for tool in ("sha256sum", "openssl sha256"):
            before = _theirs_s(host, tool, digest)
            with _Rss() as rss:
                ours = _ours_s(host, digest, tmp_path / "models")
            growth = max(growth, rss.growth)
            after = _theirs_s(host, tool, digest)
            pair.append((before + after) / 2 / ours)
            seconds.append(ours)
        ratios.append(pair[0])
        fast_ratios.append(pair[1])
    ratio, fast = statistics.median(ratios), statistics.median(fast_ratios)
    print(
        f"\npull of {_SIZE / _MIB:.0f} MiB, flushed: "
        f"{_SIZE / _MIB / statistics.median(seconds):.0f} MiB/s, "
        f"{ratio:.2f} of curl | sha256sum, {fast:.2f} of curl | openssl sha256, "
        f"memory +{growth / _MIB:.0f} MiB"
    )
    assert ratio >= _LEAST, ratios
    assert growth < _MOST_RSS
