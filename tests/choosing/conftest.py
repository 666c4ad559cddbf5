from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.kit import Kit
from localkit.runtime.quantize import quantize_file
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.hub import FakeHub, HubRepo, fake_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUANTS = ("Q8_0", "Q4_K_M", "Q2_K")


@pytest.fixture(scope="session")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return a llama of random weights in four quants, made by llama.cpp, by label.

    Wide enough that the weights are most of what a load takes.
    """
    folder = tmp_path_factory.mktemp("ladder")
    base = write_tiny_llama(
        folder / "Tiny-F16.gguf", n_embd=512, n_layers=6, n_ctx_train=4096
    )
    made = {"F16": base.read_bytes()}
    for label in QUANTS:
        target = folder / f"Tiny-{label}.gguf"
        quantize_file(base, target, label, n_threads=1)
        made[label] = target.read_bytes()
    return made


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """Return a hub on the loopback that huggingface_hub talks to."""
    with fake_hub(monkeypatch, tmp_path / "huggingface") as hub:
        yield hub


@pytest.fixture
def repo(hub: FakeHub, ladder: dict[str, bytes]) -> HubRepo:
    """Return ``hf.co/org/Tiny`` on the hub, with the ladder in it."""
    files = {f"Tiny-{label}.gguf": data for label, data in ladder.items()}
    hub.repos["org/Tiny"] = HubRepo(files, card={"license": "apache-2.0"})
    return hub.repos["org/Tiny"]


@pytest.fixture
def kit() -> Iterator[Kit]:
    """Return a kit with an empty store and the real engine."""
    kit = Kit()
    yield kit
    kit.close()
