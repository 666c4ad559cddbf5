from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import WorkerDied
from localkit.runtime.isolation import keeper as keeper_module
from localkit.runtime.isolation.keeper import Keeper

if TYPE_CHECKING:
    from localkit.events import CancelToken


class _Mortal:
    """A worker that is dead or alive, as the test says."""

    def __init__(self, died_at: float | None = None) -> None:
        self.died_at = died_at


def test_R12_a_worker_that_keeps_dying_is_started_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(keeper_module.time, "monotonic", lambda: now[0])
    started: list[Any] = []

    def start(_: CancelToken | None) -> Any:
        started.append(_Mortal())
        return started[-1]

    def die() -> None:
        keeper.present.died_at = now[0]

    keeper = Keeper("m", _Mortal(), start)  # type: ignore[arg-type]
    assert keeper.living() is keeper.present
    now[0] += 1
    die()
    assert keeper.living() is started[0]  # at once
    now[0] += 1
    die()
    with pytest.raises(WorkerDied, match="died 2 times in a row") as caught:
        keeper.living()
    assert "ask again in 10 s" in caught.value.hint
    now[0] += 10
    assert keeper.living() is started[1]
    die()
    with pytest.raises(WorkerDied) as caught:
        keeper.living()
    assert "in 20 s" in caught.value.hint
    now[0] += 20
    assert keeper.living() is started[2]
    now[0] += keeper_module.SETTLED_S + 1
    die()
    assert keeper.living() is started[3]  # it had lived long enough


def test_R12_a_restart_that_dies_counts_as_a_death(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(_: CancelToken | None) -> Any:
        msg = "again"
        raise WorkerDied(msg)

    keeper = Keeper("m", _Mortal(time.monotonic()), start)  # type: ignore[arg-type]
    with pytest.raises(WorkerDied, match="again"):
        keeper.living()
    with pytest.raises(WorkerDied, match="died 2 times in a row"):
        keeper.living()
