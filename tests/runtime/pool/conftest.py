"""No pool's timer thread outlives its test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.runtime.pools import close_all, keep_alive_threads, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    close_all()
    until(lambda: keep_alive_threads() == 0)
