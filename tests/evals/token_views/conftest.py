"""Models to look at tokens with: fakes that differ by noise, and two real tiny ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.config import Settings
from localkit.kit import Kit
from tests.evals.tiny_family import tiny_kit
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def fakes(tmp_path: Path) -> Iterator[Kit]:
    """Return a kit with `tiny` in four quants, and no engine."""
    kit = tiny_kit(tmp_path / "fakes")
    yield kit
    kit.close()


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """Return a kit with `tiny:one`, `tiny:two` of other weights, and `tiny:spm`."""
    folder = tmp_path_factory.mktemp("engines")
    kit = Kit(Settings(home=folder / "home"))
    for seed, tag in enumerate(("one", "two", "spm")):
        path = folder / f"{tag}.gguf"
        write_tiny_llama(path, seed=seed, vocab="spm" if tag == "spm" else "bpe")
        kit.store.add(path, f"tiny:{tag}")
    yield kit
    kit.close()
