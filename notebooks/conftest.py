"""Give cells that measure the time they take: nbval runs each as a test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CELL_TIMEOUT_S = 1200


def pytest_configure() -> None:
    """Give each worker's kernels a home: a notebook may remove what another uses."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    home = os.environ.get("LOCALKIT_HOME")
    if worker and home and Path(home).name != worker:
        os.environ["LOCALKIT_HOME"] = str(Path(home) / worker)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Replace the tests' own limit, which is made for unit tests."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(CELL_TIMEOUT_S))
