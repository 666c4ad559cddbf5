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
def our_lines(files: dict[str, Path]) -> dict[str, list[str]]:
    """Return what our own measures print for each quant."""
    return ladder.our_lines(files)
