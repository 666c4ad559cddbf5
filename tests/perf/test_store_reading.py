"""The store's reading against the least that could be done, in the same run.

Each side in turns, medians compared. The ratios are asserted; what they come to in
milliseconds here only loosely, because the machine may be busy.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from localkit.cli import main
from localkit.gguf import read_info
from localkit.store import Store, catalogue
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.kits import fake_kit
from tests.store.ollama_writer import HOME, OllamaWriter

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.perf

_N_MODELS = 500
_ROUNDS = 7


def _medians(*sides: Callable[[], object]) -> list[float]:
    """Return the median CPU seconds of each side, run in turns."""
    spent: list[list[float]] = [[] for _ in sides]
    for _ in range(_ROUNDS):
        for seconds, side in zip(spent, sides, strict=True):
            started = time.process_time()
            side()
            seconds.append(time.process_time() - started)
    return [statistics.median(seconds) for seconds in spent]


def _said(what: str, ours: float, theirs: float) -> float:
    print(f"\n{what}: {ours * 1e3:.1f} ms against {theirs * 1e3:.1f} ms")
    return ours / theirs


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store of 500 models with five layers each, some of them shared."""
    writer = OllamaWriter(tmp_path_factory.mktemp("crowded") / "models")
    licence = writer.layer("license", b"a licence " * 1000)
    for i in range(_N_MODELS):
        layers = [
            writer.layer("model", b"GGUF%d" % i),
            writer.layer("template", b"{{ .Prompt }}%d" % (i // 5)),
            licence,
            writer.layer("params", b'{"num_ctx":%d}' % (i // 3)),
        ]
        path = writer.name(f"{HOME}/model{i // 4}/tag{i % 4}", writer.manifest(layers))
        os.utime(path, (1e9, 1e9))
    return Store(writer.root)


def _walk(root: Path) -> int:
    n = 0
    for folder, _, files in os.walk(root / "manifests"):
        for file in files:
            with open(os.path.join(folder, file), encoding="utf-8") as stream:
                json.load(stream)
            n += 1
    return n


def test_a_list_of_500_models_costs_a_few_times_reading_their_json(
    crowded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the JSON: names checked, digests, 1,300 blobs looked at, 500 quants."""

    def again() -> None:
        assert len(crowded.list()) == _N_MODELS

    def at_first() -> None:
        monkeypatch.setattr(catalogue, "_known", {})
        again()

    def plain() -> None:
        assert _walk(crowded.root) == _N_MODELS

    again()  # 500 names are checked and compiled patterns are warm
    first, second, walked = _medians(at_first, again, plain)
    assert _said("list, at first", first, walked) < 9
    assert _said("list, again", second, walked) < 5
    assert first < 0.2


def test_show_costs_a_fraction_of_reading_the_header(tmp_path: Path) -> None:
    words = [f"token-{i}" for i in range(60_000)]
    path = write_tiny_llama(
        tmp_path / "wide.gguf", metadata={"tokenizer.ggml.added": words}
    )
    store = Store(tmp_path / "models")
    weights = store.add(path, "tiny:f16").model.weights
    assert store.resolve("tiny").info.n_layers == 2

    def show() -> None:
        assert store.resolve("tiny").info.n_layers == 2

    def header() -> None:
        assert read_info(weights).n_layers == 2

    shown, read = _medians(show, header)
    assert _said("show", shown, read) < 0.5
    assert shown < 0.05


@pytest.mark.model
def test_the_show_command_on_real_weights_is_quick(
    smollm2_gguf: Path, tmp_path: Path
) -> None:
    with fake_kit(write_tiny_llama(tmp_path / "tiny.gguf")) as kit:
        weights = kit.store.add(smollm2_gguf, "smollm2:q4_1").model.weights

        def show() -> None:
            assert "134.5 M" in CliRunner().invoke(main, ["show", "smollm2"]).stdout

        show()  # the first one imports, and reads the header
        shown, read = _medians(show, lambda: read_info(weights))
    assert _said("show, SmolLM2, the command", shown, read) < 0.75
    assert shown < 0.05


def _bytes_moved() -> tuple[int, int]:
    """Return the bytes this process has read and written by system calls."""
    text = Path("/proc/self/io").read_text(encoding="ascii")
    fields = dict(line.split(": ") for line in text.splitlines())
    return int(fields["rchar"]), int(fields["wchar"])


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.gguf"
    return write_tiny_llama(path, n_embd=1024, n_layers=5)


def test_adding_a_file_is_one_read_and_no_copy(large: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    read, written = _bytes_moved()
    receipt = store.add(large, "large:f16")
    if receipt.method not in {"hardlink", "reflink"}:
        pytest.skip("the file system here shares no bytes")
    now_read, now_written = _bytes_moved()
    size = large.stat().st_size
    assert size > 40 << 20
    assert now_read - read < 1.02 * size + (2 << 20)
    assert now_written - written < 1 << 20


def test_adding_a_file_takes_less_than_cp_and_sha256sum(
    large: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "models")
    ours, theirs = [], []
    for i in range(_ROUNDS):
        started = time.perf_counter()
        store.add(large, f"large:{i}")
        ours.append(time.perf_counter() - started)
        store.remove(f"large:{i}")
        copied = tmp_path / f"{i}.gguf"
        started = time.perf_counter()
        subprocess.run(["cp", "--reflink=never", large, copied], check=True)
        subprocess.run(["sha256sum", copied], check=True, capture_output=True)
        theirs.append(time.perf_counter() - started)
        copied.unlink()
    added, plain = statistics.median(ours), statistics.median(theirs)
    assert _said("add, 60 MB", added, plain) < 1.1
