"""A pool over a runtime, as the settings want it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.runtime.pool.pool import Pool
from localkit.runtime.pool.room import Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.config import Settings
    from localkit.events import CancelToken, OnProgress
    from localkit.runtime.pool.resident import Ask
    from localkit.runtime.protocol import LoadParams, Runtime, Session


def make_pool(
    runtime: Callable[[], Runtime], settings: Settings, *, proves: bool
) -> Pool:
    """Return an empty pool.

    Args:
        runtime: Gives what loads into this process; called at the first load.
        settings: How much may be loaded, and for how long.
        proves: Whether a file that was never loaded is tried in a child first.
    """

    def load(
        ask: Ask, params: LoadParams, *, on_progress: OnProgress, cancel: CancelToken
    ) -> Session:
        chosen = _isolated() if ask.isolate else runtime()
        if proves and not ask.isolate:
            from localkit.runtime.isolation.proving import ProvingRuntime

            chosen = ProvingRuntime(chosen)
        return chosen.load(ask.info, params, on_progress=on_progress, cancel=cancel)

    rules = Rules(
        keep_alive_s=settings.keep_alive,
        max_models=settings.max_loaded_models,
        max_queue=settings.max_queue,
        memory=settings.memory,
    )
    return Pool(load, rules)


def _isolated() -> Runtime:
    from localkit.runtime.isolation.isolated import IsolatedRuntime

    return IsolatedRuntime()
