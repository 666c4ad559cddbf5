from __future__ import annotations

import pytest

from tests.widgets.shown import Shown


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Shown]:
    """Return what is displayed, in order; each output with its updates in place."""
    outputs: list[Shown] = []

    def display(
        data: dict[str, str], *, metadata: dict[str, object], **_: object
    ) -> Shown:
        outputs.append(Shown(data, metadata))
        return outputs[-1]

    monkeypatch.setattr("IPython.display.display", display)
    return outputs
