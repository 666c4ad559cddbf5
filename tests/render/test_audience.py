from __future__ import annotations

from typing import Any

import pytest

from localkit.config import settings
from localkit.render.audience import audience


class Kernel:
    """A kernel's shell, as far as it knows who asked for the cell."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        self._metadata = metadata

    def get_parent(self) -> dict[str, Any]:
        return {"metadata": self._metadata}


class Terminal:
    """A shell without a kernel."""


LAB, NBVAL = Kernel({"cellId": "a1", "trusted": True}), Kernel({})


@pytest.mark.parametrize(
    ("shell", "asked", "who"),
    [
        (LAB, None, "front end"),
        (LAB, "0", "nobody"),
        (NBVAL, None, "nobody"),
        (NBVAL, "1", "front end"),
        (Terminal(), None, "nobody"),
        (Terminal(), "1", "terminal"),
        (Terminal(), "0", "nobody"),
    ],
)
def test_N5_who_watches_decides_whether_text_streams(
    shell: Any, asked: str | None, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if asked is not None:
        monkeypatch.setenv("LOCALKIT_STREAM", asked)
        settings.cache_clear()
    assert audience(shell) == who
