from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import localkit
from localkit.runtime.fake import FakeRuntime
from tests.fixtures.kits import fake_kit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.kit import Kit


@pytest.fixture
def runtime() -> FakeRuntime:
    """Return the runtime behind the kit, whose replies a test may set."""
    return FakeRuntime()


@pytest.fixture
def kit(tiny_gguf: Path, runtime: FakeRuntime) -> Iterator[Kit]:
    """Return the process's kit: a store with `tiny:f16` and the fake runtime."""
    with fake_kit(tiny_gguf, runtime=runtime) as kit:
        yield kit


@pytest.fixture
def shell(kit: Kit) -> Iterator[InteractiveShell]:
    """Return a shell of its own with the extension loaded and nobody watching."""
    config = Config()
    config.HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=config)
    localkit.load_ipython_extension(shell)
    yield shell
    InteractiveShell.clear_instance()
