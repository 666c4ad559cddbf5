from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.errors import ConvertFailed
from localkit.store.importing.converter import require_converter
from localkit.store.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "models")


@pytest.fixture(scope="session")
def converter() -> None:
    """Skip where llama.cpp's converter or PyTorch is not installed."""
    try:
        require_converter()
    except ConvertFailed as error:
        pytest.skip(f"{error} (pip install 'localkit[convert]')")
