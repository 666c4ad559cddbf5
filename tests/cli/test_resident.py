from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from localkit.cli import main
from localkit.config import Settings
from localkit.kit import Kit, set_default
from localkit.runtime.fake import FakeRuntime, FakeSession
from localkit.runtime.pool.pooled import use
from localkit.runtime.pool.standing import Standing
from localkit.runtime.values import MemoryUse
from tests.fixtures.gguf import write_tiny_llama
from tests.runtime.pools import InThread, until, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Ps = Callable[[], list[list[str]]]


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def kit(tmp_path: Path, runtime: FakeRuntime) -> Iterator[Kit]:
    """Return the process's kit, with the tiny models a, b, c and d."""
    kit = Kit(Settings(home=tmp_path, max_loaded_models=3), runtime=runtime)
    for seed, name in enumerate("abcd"):
        path = write_tiny_llama(tmp_path / f"{name}.gguf", seed=seed)
        kit.store.add(path, f"{name}:f16")
    set_default(kit)
    yield kit
    set_default(None)
    kit.close()


@pytest.fixture
def ps() -> Ps:
    """Return a function that runs ``localkit ps`` and splits what it shows."""

    def run() -> list[list[str]]:
        shown = CliRunner().invoke(main, ["ps"])
        assert shown.exit_code == 0, shown.stderr
        return [re.split(r"\s{2,}", line.strip()) for line in shown.stdout.splitlines()]

    return run


def test_ps_shows_two_resident_models_one_loading_and_one_evicted(
    kit: Kit, runtime: FakeRuntime, ps: Ps
) -> None:
    gate = threading.Event()
    kit.load("a:f16")
    b = kit.load("b:f16", keep_alive=-1)
    kit.load("c:f16")
    runtime.before_load = wait_for(gate)
    loading = InThread(lambda: kit.load("d:f16"))
    until(lambda: any(one.state == "loading" for one in kit.ps()))
    with use(b.session):
        rows = {row[0]: row for row in ps()}
    gate.set()
    loading.done()
    assert rows["b:f16"][-1] == "in use"
    assert re.fullmatch(r"unloads in \d+ (s|min \d\d s)", rows["c:f16"][-1])
    assert rows["d:f16"][-1] == "loading 0 %"
    assert re.fullmatch(
        r"unloaded [\d.]+ s ago: evicted to make room for d:f16", rows["a:f16"][-1]
    )
    header = next(row for name, row in rows.items() if name.startswith("model"))
    cells = dict(zip(header, rows["c:f16"], strict=True))
    assert cells["quant"] == "F16"
    assert cells["runs on"] == "100% CPU"
    assert cells["context"] == "512"
    assert cells["slots"] == "0/16"
    assert cells["queued"] == "0"
    assert re.fullmatch(r"[0-9a-f]{12}", cells["digest"])
    assert cells["weights"].endswith("MiB")
    assert cells["KV"].endswith("MiB")
    assert cells["compute"].endswith("MiB")
    assert cells["tok/s"] == "0"


def test_ps_shows_what_the_engine_does_now(
    kit: Kit, ps: Ps, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.load("a:f16")
    idle = kit.ps()[0].activity
    assert idle is not None
    busy = replace(idle, n_busy=3, n_queued=2, decode_per_s=123.4)
    monkeypatch.setattr(FakeSession, "activity", busy)
    header, _, row = ps()[:3]
    cells = dict(zip(header, row, strict=True))
    assert (cells["slots"], cells["queued"], cells["tok/s"]) == ("3/16", "2", "123")
    assert cells["state"] == "in use"


def test_ps_says_when_a_model_stays(kit: Kit, ps: Ps) -> None:
    kit.load("a:f16", keep_alive=-1)
    assert ps()[2][-1] == "stays loaded"


def test_what_was_unloaded_by_name_is_not_shown(kit: Kit, ps: Ps) -> None:
    kit.load("a:f16")
    shown = CliRunner().invoke(main, ["unload", "a:f16"]).stdout
    assert shown == "unloaded a:f16\n"
    assert ps() == [["no model is loaded in this process"]]


@pytest.mark.parametrize(
    ("n_gpu_layers", "by_device", "lies"),
    [
        (0, {"CPU": 7}, "100% CPU"),
        (33, {"CUDA0": 700, "CUDA_Host": 1}, "100% GPU"),
        (12, {"CPU_Mapped": 40, "CPU": 8, "CUDA0": 52}, "48%/52% CPU/GPU"),
    ],
)
def test_where_a_model_lies_is_said_as_ollama_says_it(
    kit: Kit, n_gpu_layers: int, by_device: dict[str, int], lies: str
) -> None:
    fingerprint = kit.load("a:f16").session.fingerprint
    standing = Standing(
        "a",
        "sha256:0",
        "F16",
        "loaded",
        memory=MemoryUse(1, 1, 1, by_device),
        fingerprint=replace(fingerprint, n_gpu_layers=n_gpu_layers),
    )
    assert standing.lies == lies
