from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.widgets.models.models import Models, models
from tests.fixtures.kits import fake_kit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.kit import Kit


@pytest.fixture
def kit(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kit]:
    """A kit with `tiny:f16`, in a folder of its own: a lock file may be written."""
    monkeypatch.chdir(tmp_path)
    with fake_kit(tiny_gguf) as kit:
        yield kit


@pytest.fixture
def view(kit: Kit) -> Iterator[Models]:
    view = models(kit)
    yield view
    view.stop()
    view.close()
    view.wait(20)
