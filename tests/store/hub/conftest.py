from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fixtures.hub import FakeHub, fake_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return the folder of the user's Hugging Face files, not made yet."""
    return tmp_path / "huggingface"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[FakeHub]:
    """Return a hub on the loopback that huggingface_hub talks to."""
    with fake_hub(monkeypatch, cache) as hub:
        yield hub
